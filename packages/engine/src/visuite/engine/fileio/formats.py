"""Objects in files: JSON, YAML and pickle."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from visuite.engine.fileio.access import get, put
from visuite.engine.fileio.location import BackendArgs, PathLike
from visuite.engine.utils.text import did_you_mean


class Format(NamedTuple):
    """How one format reads and writes objects as bytes, and whether those are text."""

    read: Callable[..., Any]
    write: Callable[..., bytes]
    is_text: bool


def load(file: Any, file_format: str | None = None, backend_args: BackendArgs = None, **kwargs: Any) -> Any:
    """Read an object from a file.

    A pickle runs what it holds: load only pickles that you or your own tools wrote. Weights and
    checkpoints are not read here but by the checkpoint loader, which runs nothing.

    Args:
        file: A local path, a URL or an open file.
        file_format: 'json', 'yaml', 'yml', 'pkl' or 'pickle'; by default what the name ends with.
        backend_args: As everywhere in fileio.
        **kwargs: For the reader of the format.

    Raises:
        ValueError: an unknown format, or a file that is not of its format.
    """
    kind = _format_of(file, file_format)
    if hasattr(file, "read"):
        content, name = file.read(), getattr(file, "name", "the open file")
        content = content.encode() if isinstance(content, str) else content
    else:
        content, name = get(file, backend_args), os.fspath(file)
    try:
        return kind.read(content, **kwargs)
    except (ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error


def dump(
    obj: Any,
    file: Any = None,
    file_format: str | None = None,
    backend_args: BackendArgs = None,
    **kwargs: Any,
) -> str | bytes | None:
    """Write an object to a file, or return what would be written when there is none.

    Args:
        obj: What to write; JSON takes arrays, tensors, numpy numbers, sets and ranges too.
        file: A local path, a URL, an open file, or None.
        file_format: As in `load`; needed when there is no file name.
        backend_args: As everywhere in fileio.
        **kwargs: For the writer of the format.
    """
    kind = _format_of(file, file_format)
    content = kind.write(obj, **kwargs)
    if file is None:
        return content.decode() if kind.is_text else content
    if hasattr(file, "write"):
        file.write(content if not kind.is_text or _is_binary(file) else content.decode())
    else:
        put(content, file, backend_args)
    return None


def _format_of(file: Any, file_format: str | None) -> Format:
    if file_format is None:
        name = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
        if not isinstance(name, (str, os.PathLike)):
            raise ValueError(f"file_format has to be given: a {type(file).__name__} has no name that ends in one")
        file_format = os.path.splitext(_inner(name))[1].lstrip(".").lower() or os.fspath(name)
    if file_format not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise ValueError(f"unknown file format {file_format!r}{did_you_mean(file_format, _FORMATS)} (known: {known})")
    return _FORMATS[file_format]


def _inner(name: PathLike) -> str:
    """Drop what a URL has behind the path: the archive of a chained one, the query of a link."""
    text = os.fspath(name)
    return text.split("::")[0].split("?")[0] if "://" in text else text


def _is_binary(file: Any) -> bool:
    return isinstance(file, (io.RawIOBase, io.BufferedIOBase)) or "b" in str(getattr(file, "mode", ""))


def _write_json(obj: Any, **kwargs: Any) -> bytes:
    return json.dumps(obj, **{"default": _plain, **kwargs}).encode()


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it does."""
    if isinstance(value, (set, frozenset, range)):
        return list(value)
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "tolist"):  # arrays and tensors
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


@cache
def _yaml_kinds() -> tuple[Any, Any]:
    """Return a safe loader that also knows tuples, and a safe dumper, the quick ones where they are built."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", lambda self, node: tuple(self.construct_sequence(node)))
    return Loader, getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _read_yaml(content: bytes, **kwargs: Any) -> Any:
    import yaml

    try:
        return yaml.load(content, **{"Loader": _yaml_kinds()[0], **kwargs})
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _write_yaml(obj: Any, **kwargs: Any) -> bytes:
    import yaml

    options = {"Dumper": _yaml_kinds()[1], "sort_keys": False, "allow_unicode": True, **kwargs}
    try:
        return yaml.dump(obj, **options).encode()
    except yaml.YAMLError as error:
        raise TypeError(f"cannot be written as YAML: {' '.join(str(error).split())}") from error


_JSON = Format(json.loads, _write_json, is_text=True)
_YAML = Format(_read_yaml, _write_yaml, is_text=True)
_PICKLE = Format(pickle.loads, pickle.dumps, is_text=False)
_FORMATS = {"json": _JSON, "yaml": _YAML, "yml": _YAML, "pkl": _PICKLE, "pickle": _PICKLE}

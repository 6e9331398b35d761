"""Where a path points: into the local file system, or to a URL that fsspec can reach."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from visuite.engine.utils.text import did_you_mean

PathLike = str | os.PathLike[str]
BackendArgs = Mapping[str, Any] | None

_LOCAL = ("local", "disk", "file")


class Remote(NamedTuple):
    """A place outside the local file system: an fsspec file system and the path in it."""

    fs: Any
    path: str


def is_url(path: PathLike) -> bool:
    """Tell a URL (`s3://bucket/a.jpg`, `zip://a.jpg::/data/all.zip`) from a local path."""
    return "://" in os.fspath(path)


def locate(path: PathLike, backend_args: BackendArgs = None) -> str | Remote:
    """Resolve a path: a string is local, anything else is remote.

    Args:
        path: A local path or a URL.
        backend_args: `backend` names the protocol of a path that has none; the rest are fsspec's storage options.

    Raises:
        TypeError: not a path.
        ValueError: an unknown protocol.
        ImportError: the protocol needs a package that is not installed.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"a path is a str or a Path, not {type(path).__name__}")
    name = os.fspath(path)
    if backend_args is None and "://" not in name:  # most paths of most data sets
        return name
    options = dict(backend_args or {})
    backend = options.pop("backend", None)
    if "://" not in name:
        if backend is None or backend in _LOCAL:
            return name
        name = f"{backend}://{name}"
    if name.startswith(("file://", "local://")):
        return name.split("://", 1)[1]
    return _open_remote(name, options)


def _open_remote(url: str, options: dict[str, Any]) -> Remote:
    import fsspec

    protocol = url.split("://", 1)[0]
    known = fsspec.available_protocols()
    if protocol not in known:
        raise ValueError(f"{url!r}: no backend is called {protocol!r}{did_you_mean(protocol, known)}")
    try:
        return Remote(*fsspec.core.url_to_fs(url, **options))
    except ImportError as error:
        hint = f'pip install "fsspec[{protocol}]"'
        raise ImportError(f"{url!r} cannot be reached: {error} ({hint})") from error

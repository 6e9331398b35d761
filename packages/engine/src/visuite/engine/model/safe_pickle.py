"""What a checkpoint's pickle names, which of it is harmless, and what stands in for the rest.

Files that OpenMMLab's runner wrote name classes of its packages (message hub, config) and of numpy. The
first are replaced by stand-ins that only keep what they are given; of numpy only arrays and scalars are
rebuilt, by code of ours that checks sizes. Whatever else a file names is refused.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

#: Classes of data that turn up in published checkpoints; read as stand-ins.
INERT = (
    "argparse.Namespace",
    "pathlib.",
    "datetime.",
    "addict.",
    "yacs.",
    "omegaconf.",
    "easydict.",
    "types.SimpleNamespace",
    "typing.Any",
    "numpy.dtypes.",
)
_PLAIN_TYPES = (list, dict, tuple, int, float, bool, str, bytes, frozenset, slice, object)


class SafeDtype:
    """Stand in for `numpy.dtype`: its code and byte order, nothing that could describe a foreign memory layout."""

    def __init__(self, code: str = "f8", *_: Any) -> None:
        self.code = code
        self.order: Literal["<", ">", "="] = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="

    def __reduce__(self) -> Any:
        return self.resolve().__reduce__()

    def resolve(self) -> np.dtype[Any]:
        """Return the dtype; refuse structured ones."""
        dtype = np.dtype(self.code).newbyteorder(self.order)
        if dtype.kind not in "biufcSUmMO" or dtype.subdtype is not None:
            raise ValueError(f"an array of dtype {self.code!r}")
        return dtype


class SafeArray(np.ndarray):
    """An array that takes its content only where the bytes have the size which shape and dtype ask for.

    numpy's own reader believes what the file says, and can be made to read foreign memory.
    """

    def __new__(cls, *_: Any) -> SafeArray:
        return super().__new__(cls, (0,))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, fortran, content = state[-4:]
        real, count = dtype.resolve(), math.prod(shape)
        needed = count if real.hasobject else count * real.itemsize
        if not isinstance(content, list if real.hasobject else bytes) or len(content) != needed:
            raise ValueError("an array whose content does not have the size of its shape")
        super().__setstate__((1, tuple(shape), real, bool(fortran), content))  # type: ignore[arg-type]

    def __reduce__(self) -> Any:  # written again, it is an array like any other
        return self.view(np.ndarray).__reduce__()


def _rebuild_scalar(dtype: SafeDtype, content: Any = b"") -> Any:
    """Stand in for numpy's `scalar`."""
    real = dtype.resolve()
    return content if real.hasobject else np.frombuffer(content, dtype=real, count=1)[0]


def _new_stand_in(path: str) -> type:
    """Make a class whose instances are dicts that keep arguments, items and state, and do nothing.

    torch's reader fills items only into plain dicts and `OrderedDict`s, and state only into the latter: hence
    "instances" are of that class, and bear the name they stand for as `pickled_type`.
    """

    def keep(cls: type, *args: Any) -> OrderedDict[Any, Any]:
        kept: OrderedDict[Any, Any] = OrderedDict()
        vars(kept).update(pickled_type=path, pickled_args=args)
        if len(args) == 1 and isinstance(args[0], dict):  # a dict's subclass that is rebuilt from a plain one
            kept.update(args[0])
        return kept

    return type(path.rpartition(".")[2], (), {"__new__": keep})


def _keep_list(items: Iterable[Any] = (), maxlen: int | None = None) -> list[Any]:
    """Stand in for `collections.deque`."""
    return list(items)


def _keep_dict(*_: Any) -> dict[Any, Any]:
    """Stand in for `collections.defaultdict`, whose factory is not needed to read it."""
    return {}


def _known_objects() -> dict[str, Any]:
    """Return {global: object} for what is rebuilt as it is, or by a harmless function of ours."""
    known: dict[str, Any] = {f"builtins.{kind.__name__}": kind for kind in _PLAIN_TYPES}
    for package in ("numpy.core.multiarray", "numpy._core.multiarray"):
        known |= {f"{package}.scalar": _rebuild_scalar, f"{package}._reconstruct": SafeArray}
    known |= {"numpy.ndarray": SafeArray, "numpy.dtype": SafeDtype}
    known |= {"collections.deque": _keep_list, "collections.defaultdict": _keep_dict}
    known["builtins.getattr"] = _new_stand_in("builtins.getattr")  # a pickled method: (class, name)
    return known


_KNOWN = _known_objects()


def named_globals(source: Path | io.BytesIO) -> set[str]:
    """Return the full names of all classes and functions in a checkpoint's pickle, without unpickling.

    Raises:
        ValueError: the file holds no pickle.
    """
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            inside = [name for name in archive.namelist() if name.split("/")[-1] == "data.pkl"]
            if not inside:
                raise ValueError("an archive without data.pkl")
            return set(_globals_of(io.BytesIO(archive.read(inside[0]))))
    with source.open("rb") if isinstance(source, Path) else source.__class__(source.getvalue()) as stream:
        # torch's format before 1.6: five pickles in a row (magic, version, system, content, storages), then raw data
        return {name for _ in range(5) for name in _globals_of(stream)}


def _globals_of(stream: Any) -> list[str]:
    """Return the names in one pickle, in today's spelling."""
    names = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            names.append(f"{module}.{name}")
    return names


def _is_inert(name: str) -> bool:
    return name.startswith("mm") or any(name == one or (one.endswith(".") and name.startswith(one)) for one in INERT)


def unknown_globals(names: Iterable[str]) -> list[str]:
    """Return those names that neither torch nor we nor the user (`add_safe_globals`) know as harmless."""
    users = {_path_of(one) for one in torch.serialization.get_safe_globals()}
    return sorted(
        name
        for name in names
        if name not in _KNOWN and name not in users and not _is_inert(name) and not _is_torchs_own(name)
    )


def _is_torchs_own(name: str) -> bool:
    """Leave what torch's reader decides on by itself to torch: it refuses all but rebuilding tensors."""
    own = ("collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.set", "builtins.bytearray")
    return name.startswith("torch.") or name in (*own, "builtins.complex")


def _path_of(entry: Any) -> str:
    return entry[1] if isinstance(entry, tuple) else f"{entry.__module__}.{entry.__qualname__}"


def substitutes_for(names: Iterable[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return (object, name) pairs for `torch.serialization.safe_globals`."""
    pairs: dict[str, Any] = {name: _new_stand_in(name) for name in names if _is_inert(name)}
    pairs |= {name: _KNOWN[name] for name in names if name in _KNOWN}
    return [(one, name) for name, one in pairs.items()]

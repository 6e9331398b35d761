"""Reading the pickled arrays that old data sets are published as, without running what they say."""

from __future__ import annotations

import io
import pickle
from typing import Any

from visuite.engine.model.safe_pickle import SafeArray, SafeDtype

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): SafeArray,
    ("numpy", "dtype"): SafeDtype,
    ("numpy.core.multiarray", "_reconstruct"): SafeArray,
    ("numpy._core.multiarray", "_reconstruct"): SafeArray,
}


class _ArrayUnpickler(pickle.Unpickler):
    """A reader of plain values and numpy arrays, which knows no other names."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands in for a name."""
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ALLOWED[module, name]


def load_pickled_arrays(content: bytes, name: str) -> dict[str, Any]:
    """Read a pickled dict of plain values and arrays; keys come back as strings.

    Args:
        content: The file's content.
        name: The file's name, for errors.

    Raises:
        ValueError: it is no such pickle, is cut, or names anything but arrays.
    """
    try:
        found = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"{name}: not a pickle of plain arrays: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{name}: holds a {type(found).__name__}, not a dict")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in found.items()}


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for `_codecs.encode`, which pickles of protocol 2 keep bytes with."""
    return text.encode("latin1" if encoding not in ("latin1", "utf-8", "ascii") else encoding)

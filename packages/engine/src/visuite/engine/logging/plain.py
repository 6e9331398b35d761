"""Objects as numbers, strings, tensors and containers of them, which is all that a checkpoint may hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

_ARRAY = "__numpy__"  # {_ARRAY: tensor} stands for an array
_LEAVES = (type(None), bool, int, float, complex, str, bytes)


def to_plain(value: Any) -> Any:
    """Return a copy of plain builtins and tensors.

    Raises:
        TypeError: something in it has no plain form; the message is its type.
    """
    if type(value) in _LEAVES or isinstance(value, torch.Tensor):
        return value.detach() if isinstance(value, torch.Tensor) else value
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {_ARRAY: torch.tensor(value)}
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        kind = next(k for k in (list, tuple, set, frozenset) if isinstance(value, k))
        items = [to_plain(item) for item in value]
        return set(items) if kind is frozenset else kind(items)
    if isinstance(value, Path):
        return str(value)
    for leaf in (str, int, float):  # subclasses, such as enumerations
        if isinstance(value, leaf):
            return leaf(value)
    raise TypeError(type(value).__name__)


def from_plain(value: Any) -> Any:
    """Undo `to_plain`, as far as it loses nothing."""
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return value[_ARRAY].numpy()
        return {key: from_plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(from_plain(item) for item in value)
    return value

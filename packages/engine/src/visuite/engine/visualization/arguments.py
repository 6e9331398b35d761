"""What drawing methods are given: coordinates of shapes, and options for all or for each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def to_floats(values: Any) -> np.ndarray:
    """Return a tensor on any device, an array or nested lists as a float array."""
    return values.detach().cpu().double().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, float)


def per_shape(option: Any, count: int, name: str) -> list[Any]:
    """Return one option for each of `count` shapes: a list as it is, anything else (a tuple too) for all.

    Raises:
        ValueError: a list of another length.
    """
    if not isinstance(option, list):
        return [option] * count
    if len(option) < count:
        raise ValueError(f"{name} has {len(option)} entries for {count} shapes")
    return option[:count]


def to_array(values: Any, columns: int, name: str) -> np.ndarray:
    """Return finite coordinates as a (N, columns) float array; one shape may come without its first dimension.

    Raises:
        ValueError: another shape, or a coordinate that is not finite.
    """
    array = to_floats(values)
    if array.size == 0:
        return np.zeros((0, columns))
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != columns:
        raise ValueError(f"{name} has shape (N, {columns}), not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has coordinates that are not finite, the first in row {_first_bad(array)}")
    return array


def _first_bad(array: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])

"""Per-pixel annotations and predictions of one image: class maps, logits, depth, edges."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from torch import Tensor

from visuite.engine.structures.base_data_element import BaseDataElement


class PixelData(BaseDataElement):
    """Tensors or arrays of (C, H, W) with a common H and W; a map of (H, W) becomes (1, H, W)."""

    @property
    def shape(self) -> tuple[int, int] | None:
        """(H, W), or None while there are no maps."""
        for value in self.values():
            return tuple(value.shape[-2:])
        return None

    def _admit(self, name: str, value: Any) -> Any:
        if not isinstance(value, (Tensor, np.ndarray)):
            raise TypeError(f"map {name!r} has to be a tensor or an array, not a {type(value).__name__}")
        if value.ndim not in (2, 3):
            raise ValueError(f"map {name!r} has to be (H, W) or (C, H, W), not {tuple(value.shape)}")
        for other, values in self._data().items():
            if other != name and values.shape[-2:] != value.shape[-2:]:
                size, theirs = tuple(value.shape[-2:]), tuple(values.shape[-2:])
                raise ValueError(f"map {name!r} is {size} high and wide, but {other!r} is {theirs}")
        return value[None] if value.ndim == 2 else value

    def __getitem__(self, item: tuple[int | slice, int | slice]) -> Self:
        """Return the region `[rows, columns]` of all maps; an int keeps its dimension, of size 1.

        Raises:
            TypeError: not a pair of ints or slices.
            IndexError: an int outside the maps.
        """
        if not isinstance(item, tuple) or len(item) != 2:
            raise TypeError(f"PixelData is cut by [rows, columns], not by {item!r}")
        height, width = self.shape or (0, 0)
        rows, columns = _as_slice(item[0], height), _as_slice(item[1], width)
        return self._map(lambda value: value[:, rows, columns])


def _as_slice(item: Any, size: int) -> slice:
    if isinstance(item, slice):
        return item
    if isinstance(item, bool) or not isinstance(item, (int, np.integer)):
        raise TypeError(f"rows and columns are ints or slices, not {type(item).__name__}")
    if not -size <= item < size:
        raise IndexError(f"there is no row or column {item} among {size}")
    return slice(int(item) % size, int(item) % size + 1)

"""Priors on grids: the same few boxes or points at every place of each feature map.

Shapes: levels with maps of H rows and W columns, A priors in each place, D numbers to a prior (4 of a
box, 2 of a point).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

Device = torch.device | str
#: Rows and columns of a map.
Size = Sequence[int]

#: Grids of so many different batches' maps are kept.
KEPT_GRIDS = 8


def pair_of(number: float | Sequence[float]) -> tuple[float, float]:
    """Return (w, h) of one number for both, or of two."""
    if isinstance(number, Sequence):
        across, down = number
        return across, down
    return number, number


class GridPriors:
    """Lay base priors out over grids.

    A subclass makes the priors of each level's first place and hands them over. They are plain tensors: no part of a
    state dict, and moved to wherever priors are asked for.

    Args:
        strides: Pixels from one place of a level's grid to the next, one number or (w, h).
        base_priors: (A, D) per level, the first two columns (and of boxes, the last two) being x and y in pixels.

    Attributes:
        strides: (w, h) per level.

    Raises:
        ValueError: base priors of another number of levels.
    """

    def __init__(self, strides: Sequence[float | Sequence[float]], base_priors: Sequence[torch.Tensor]) -> None:
        self.strides = [pair_of(stride) for stride in strides]
        self._base_priors = list(base_priors)
        self._check_levels(self._base_priors, "sets of base priors")
        self._kept: OrderedDict[Any, list[torch.Tensor]] = OrderedDict()

    @property
    def num_levels(self) -> int:
        """How many levels there are."""
        return len(self.strides)

    @property
    def num_base_priors(self) -> list[int]:
        """A of each level."""
        return [len(base) for base in self._base_priors]

    def grid_priors(
        self,
        featmap_sizes: Sequence[Size],
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
        with_stride: bool = False,
    ) -> list[torch.Tensor]:
        """Return all priors of each level: row by row, and the A of a place together.

        Grids are kept and handed out again, so do not write into them.

        Args:
            featmap_sizes: (H, W) of each level.
            dtype: Of the priors.
            device: Of the priors.
            with_stride: Write the stride (w, h) beside each prior, in two more columns.

        Returns:
            (H * W * A, D), or (H * W * A, D + 2), per level.

        Raises:
            ValueError: another number of maps than levels.
        """
        self._check_levels(featmap_sizes, "feature maps")
        if torch.compiler.is_compiling() or not all(type(edge) is int for size in featmap_sizes for edge in size):
            return self._all_grids(featmap_sizes, dtype, device, with_stride)  # sizes may be symbols there
        place = torch.empty(0, device=device).device  # "cuda" has a number now
        key = (tuple(tuple(size) for size in featmap_sizes), dtype, place, with_stride)
        if key not in self._kept:
            with torch.inference_mode(False):  # or training could not use what evaluation made
                self._kept[key] = self._all_grids(featmap_sizes, dtype, place, with_stride)
            if len(self._kept) > KEPT_GRIDS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return list(self._kept[key])

    def single_level_grid_priors(
        self,
        featmap_size: Size,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
        with_stride: bool = False,
    ) -> torch.Tensor:
        """Return all priors of one level, as of `grid_priors`."""
        rows, columns = featmap_size[0], featmap_size[1]
        (wide, high), base = self.strides[level_idx], self._base_priors[level_idx].to(device, dtype)
        x = torch.arange(columns, device=device, dtype=dtype) * wide
        y = torch.arange(rows, device=device, dtype=dtype) * high
        places = torch.stack((x.expand(rows, columns), y[:, None].expand(rows, columns)), dim=-1)
        priors = self._move(base, places.reshape(-1, 1, 2)).flatten(0, 1)
        if with_stride:
            priors = torch.cat((priors, priors.new_tensor((wide, high)).expand(len(priors), 2)), dim=1)
        return priors

    def sparse_priors(
        self,
        prior_idxs: torch.Tensor,
        featmap_size: Size,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
    ) -> torch.Tensor:
        """Return some priors (N, D) of one level by their numbers (N,), without making the others."""
        columns, (wide, high) = featmap_size[1], self.strides[level_idx]
        base = self._base_priors[level_idx].to(device, dtype)
        numbers = prior_idxs.to(device)
        place = numbers // len(base)
        corner = torch.stack((place % columns * wide, place // columns * high), dim=-1).to(dtype)
        return self._move(base[numbers % len(base)], corner)

    def valid_flags(
        self, featmap_sizes: Sequence[Size], pad_shape: Sequence[int], device: Device = "cpu"
    ) -> list[torch.Tensor]:
        """Tell which priors lie in places that an image reaches into, where batches are padded to a common size.

        Args:
            featmap_sizes: (H, W) of each level.
            pad_shape: (h, w, ...) of the image in pixels.
            device: Of the flags.

        Returns:
            (H * W * A,), bool, per level.

        Raises:
            ValueError: another number of maps than levels.
        """
        self._check_levels(featmap_sizes, "feature maps")
        flags = []
        for size, (wide, high), count in zip(featmap_sizes, self.strides, self.num_base_priors, strict=True):
            inside = torch.zeros(size[0], size[1], count, dtype=torch.bool, device=device)
            inside[: math.ceil(pad_shape[0] / high), : math.ceil(pad_shape[1] / wide)] = True
            flags.append(inside.flatten())
        return flags

    def _all_grids(
        self, featmap_sizes: Sequence[Size], dtype: torch.dtype, device: Device, with_stride: bool
    ) -> list[torch.Tensor]:
        return [
            self.single_level_grid_priors(size, level, dtype, device, with_stride)
            for level, size in enumerate(featmap_sizes)
        ]

    @staticmethod
    def _move(base: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        """Move priors (..., D) by offsets (..., 2); the leading dimensions broadcast."""
        return base + (by if base.shape[-1] == 2 else torch.cat((by, by), dim=-1))

    def _check_levels(self, given: Sequence[Any], what: str) -> None:
        if len(given) != self.num_levels:
            name, levels = type(self).__name__, self.num_levels
            raise ValueError(f"{name} has {levels} levels, of strides {self.strides}, and is given {len(given)} {what}")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict()}  # copies and pickles go without the grids

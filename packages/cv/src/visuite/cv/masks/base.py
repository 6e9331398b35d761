"""What containers of masks have in common: the masks of an image's N objects, moved and cut together.

Shapes: N masks, H rows, W columns; K boxes, h x w the size that is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from visuite.cv.image import rescale_size
from visuite.cv.image.warp import rotation_matrix, shear_matrix, translation_matrix

#: What chooses among masks: a number, a slice, a list, or a 1-D integer or bool tensor or array.
Index = int | slice | Sequence[int] | np.ndarray | Tensor


class InstanceMasks(ABC):
    """The masks of N objects in an image of `height` H and `width` W.

    Methods return new containers and write to no array. Shapes are (h, w); whatever leaves them is cut off.
    """

    height: int
    width: int

    # ------------------------------------------------------------------ choosing

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Index) -> Self:
        """Return a container of the chosen masks, of one for a number."""

    @abstractmethod
    def __iter__(self) -> Iterator[Any]: ...

    @classmethod
    @abstractmethod
    def cat(cls, masks: Sequence[Any]) -> Self:
        """Join containers of equal size, one after the other.

        Raises:
            ValueError: nothing to join, or different sizes.
            TypeError: another kind of container among them.
        """

    # ------------------------------------------------------------------ moving

    @abstractmethod
    def resize(self, out_shape: tuple[int, int], interpolation: str = "nearest") -> Self:
        """Stretch to (h, w)."""

    @abstractmethod
    def flip(self, flip_direction: str = "horizontal") -> Self:
        """Flip `horizontal`, `vertical` or `diagonal` (both)."""

    @abstractmethod
    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> Self:
        """Pad at the right and the bottom to (h, w)."""

    @abstractmethod
    def crop(self, bbox: np.ndarray) -> Self:
        """Cut out the box x1, y1, x2, y2 (4,), as far as it lies in the image; the result is 1 x 1 at least."""

    @abstractmethod
    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> Self:
        """Put the masks onto an empty canvas (expanded_h, expanded_w), their corner at (left, top) >= 0."""

    @abstractmethod
    def warp_affine(
        self, out_shape: tuple[int, int], matrix: np.ndarray, interpolation: str = "nearest", border_value: int = 0
    ) -> Self:
        """Map by an affine matrix.

        Args:
            out_shape: (h, w) of the result.
            matrix: (2, 3), from the index of a pixel (x, y) to its new one.
            interpolation: Of bitmaps.
            border_value: What comes in from outside.
        """

    def rescale(self, scale: float | tuple[float, float], interpolation: str = "nearest") -> Self:
        """Resize with the aspect ratio kept: by a factor, or to within the largest edges (long and short)."""
        w, h = rescale_size((self.width, self.height), scale)
        return self.resize((h, w), interpolation)

    def translate(
        self,
        out_shape: tuple[int, int],
        offset: float,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> Self:
        """Move by `offset` pixels to the right, or down when `vertical`; arguments as of `warp_affine`."""
        return self.warp_affine(out_shape, translation_matrix(offset, direction), interpolation, border_value)

    def shear(
        self,
        out_shape: tuple[int, int],
        magnitude: float,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> Self:
        """Move rows `horizontal`ly by their height times `magnitude`, or columns; arguments as of `warp_affine`."""
        return self.warp_affine(out_shape, shear_matrix(magnitude, direction), interpolation, border_value)

    def rotate(
        self,
        out_shape: tuple[int, int],
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> Self:
        """Turn clockwise by `angle` degrees about (x, y), by default the middle; arguments as of `warp_affine`."""
        matrix = rotation_matrix((self.width, self.height), angle, center, scale)
        return self.warp_affine(out_shape, matrix, interpolation, border_value)

    # ------------------------------------------------------------------ regions

    @abstractmethod
    def crop_and_resize(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: tuple[int, int],
        inds: np.ndarray | Tensor,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> Self:
        """Cut K boxes out and bring each to one size; mask heads learn from the result.

        Args:
            bboxes: (K, 4), xyxy in pixels.
            out_shape: (h, w).
            inds: (K,), the number of the mask that each box is cut from.
            device: Where bitmaps are worked on.
            interpolation: Without effect: bitmaps are read bilinearly, and polygons need none.
            binarize: Make bitmaps 0 and 1; else they hold what part of each pixel the object covers.

        Returns:
            K masks of size (h, w).
        """

    @abstractmethod
    def crop_to_tensor(
        self, bboxes: Tensor, out_shape: tuple[int, int], inds: Tensor, *, binarize: bool = True
    ) -> Tensor:
        """Do as `crop_and_resize` does, and return (K, h, w) float on the device of the boxes."""

    # ------------------------------------------------------------------ reading

    @property
    @abstractmethod
    def areas(self) -> np.ndarray:
        """(N,), in pixels."""

    @abstractmethod
    def get_bboxes(self) -> Tensor:
        """Return the boxes (N, 4) float around the masks, xyxy; zeros around empty ones."""

    @abstractmethod
    def to_ndarray(self) -> np.ndarray:
        """Return the masks as an array (N, H, W)."""

    def to_tensor(self, dtype: torch.dtype, device: str | torch.device) -> Tensor:
        """Return the masks as a tensor (N, H, W)."""
        return torch.as_tensor(self.to_ndarray()).to(device=device, dtype=dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_masks={len(self)}, height={self.height}, width={self.width})"

    @classmethod
    def _joinable(cls, masks: Sequence[Any]) -> tuple[int, int]:
        """Return the size (H, W) that containers to be joined share."""
        if not len(masks):
            raise ValueError("there is nothing to cat: the list of masks is empty")
        strange = [one for one in masks if not isinstance(one, cls)]
        if strange:
            raise TypeError(f"{cls.__name__}.cat joins {cls.__name__}, not {type(strange[0]).__name__}")
        sizes = sorted({(one.height, one.width) for one in masks})
        if len(sizes) > 1:
            raise ValueError(f"masks of different sizes cannot be joined: {sizes}")
        return sizes[0]


def positions(index: Index, length: int) -> np.ndarray:
    """Return what an index chooses among `length` masks as their numbers (n,).

    Raises:
        IndexError: out of range, or a choice by bools of another length.
    """
    if isinstance(index, Tensor):
        index = index.cpu().numpy()
    chosen = np.asarray(index if not isinstance(index, slice) else range(length)[index])
    if chosen.size == 0 and chosen.dtype != bool:
        return np.zeros(0, np.int64)
    if chosen.dtype == bool and chosen.shape != (length,):
        raise IndexError(f"bools of shape {chosen.shape} cannot choose among {length} masks")
    return np.arange(length)[chosen].reshape(-1)

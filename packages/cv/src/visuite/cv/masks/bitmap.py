"""Masks as bitmaps.

Shapes: N masks, H rows, W columns; K boxes, h x w the size that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from visuite.cv.image import imflip, impad, imresize, imwarp
from visuite.cv.masks.base import Index, InstanceMasks, positions
from visuite.cv.ops import roi_align


class BitmapMasks(InstanceMasks):
    """Masks as arrays of 0 and 1.

    Args:
        masks: (N, H, W), or a list of N arrays (H, W); bools become bytes.
        height: H.
        width: W.

    Raises:
        ValueError: a mask of another size.
    """

    def __init__(self, masks: np.ndarray | Sequence[np.ndarray], height: int, width: int) -> None:
        self.height, self.width = int(height), int(width)
        if len(masks) == 0:
            masks = np.zeros((0, self.height, self.width), np.uint8)
        shapes = {np.shape(one) for one in masks} - {(self.height, self.width)}
        if shapes:
            raise ValueError(f"a mask of size {self.height}x{self.width} cannot be of shape {min(shapes)}")
        array = np.asarray(masks)
        self.masks = array.view(np.uint8) if array.dtype == bool else array

    @classmethod
    def random(
        cls,
        num_masks: int = 3,
        height: int = 32,
        width: int = 32,
        dtype: type = np.uint8,
        rng: int | np.random.Generator | None = None,
    ) -> Self:
        """Return ellipses at random places, to try things out with."""
        generator = np.random.default_rng(rng)
        middles = generator.uniform(0, 1, (num_masks, 2, 1, 1)) * np.reshape([width, height], (2, 1, 1))
        radii = generator.uniform(0.15, 0.4, (num_masks, 2, 1, 1)) * np.reshape([width, height], (2, 1, 1))
        grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5))
        inside = (((grid - middles) / radii) ** 2).sum(axis=1) <= 1
        return cls(inside.astype(dtype), height, width)

    @classmethod
    def cat(cls, masks: Sequence[Self]) -> Self:
        """Join containers of equal size, one after the other."""
        size = cls._joinable(masks)
        return cls(np.concatenate([one.masks for one in masks]), *size)

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: Index) -> Self:
        return self._with(self.masks[positions(index, len(self))])

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.masks)

    def resize(self, out_shape: tuple[int, int], interpolation: str = "nearest") -> Self:
        """Stretch to (h, w)."""
        size = (out_shape[1], out_shape[0])
        return self._stacked([imresize(mask, size, interpolation=interpolation) for mask in self.masks], out_shape)

    def flip(self, flip_direction: str = "horizontal") -> Self:
        """Flip `horizontal`, `vertical` or `diagonal` (both)."""
        return self._stacked([imflip(mask, flip_direction) for mask in self.masks], (self.height, self.width))

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> Self:
        """Pad at the right and the bottom to (h, w)."""
        return self._stacked([impad(mask, shape=out_shape, pad_val=pad_val) for mask in self.masks], out_shape)

    def crop(self, bbox: np.ndarray) -> Self:
        """Cut out the box x1, y1, x2, y2 (4,), as far as it lies in the image; the result is 1 x 1 at least."""
        x1, y1, x2, y2 = window(bbox, self.height, self.width)
        return self._with(self.masks[:, y1:y2, x1:x2])

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> Self:
        """Put the masks onto an empty canvas (expanded_h, expanded_w), their corner at (left, top) >= 0."""
        canvas = np.zeros((len(self), expanded_h, expanded_w), self.masks.dtype)
        seen = self.masks[:, : max(expanded_h - top, 0), : max(expanded_w - left, 0)]
        canvas[:, top : top + seen.shape[1], left : left + seen.shape[2]] = seen
        return self._with(canvas)

    def warp_affine(
        self, out_shape: tuple[int, int], matrix: np.ndarray, interpolation: str = "nearest", border_value: int = 0
    ) -> Self:
        """Map by an affine matrix (2, 3) of pixels' indices."""
        size = (out_shape[1], out_shape[0])
        return self._stacked(
            [imwarp(mask, matrix, size, interpolation=interpolation, border_value=border_value) for mask in self.masks],
            out_shape,
        )

    def crop_and_resize(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: tuple[int, int],
        inds: np.ndarray | Tensor,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> Self:
        """Cut K boxes (K, 4) out of the masks that `inds` (K,) names, and bring each to (h, w)."""
        boxes, chosen = (torch.as_tensor(one).to(device) for one in (bboxes, inds))
        cut = self.crop_to_tensor(boxes, out_shape, chosen, binarize=binarize).cpu().numpy()
        return type(self)(cut.astype(self.masks.dtype) if binarize else cut, *out_shape)

    def crop_to_tensor(
        self, bboxes: Tensor, out_shape: tuple[int, int], inds: Tensor, *, binarize: bool = True
    ) -> Tensor:
        """Do as `crop_and_resize` does, and return (K, h, w) float on the device of the boxes, all in one go."""
        if not len(bboxes):
            return bboxes.new_zeros((0, *out_shape), dtype=torch.float32)
        used, place = inds.unique(return_inverse=True)  # so that no mask travels in vain, and none twice
        masks = torch.from_numpy(np.ascontiguousarray(self.masks[used.cpu().numpy()])).to(bboxes.device)
        regions = torch.cat([place.to(bboxes)[:, None], bboxes], dim=1).float()
        cut = roi_align(masks[:, None].float(), regions, out_shape, 1.0, 0, "avg", True)[:, 0]
        return (cut >= 0.5).float() if binarize else cut

    @property
    def areas(self) -> np.ndarray:
        """(N,), the number of pixels that are set."""
        return self.masks.sum(axis=(1, 2), dtype=np.int64 if self.masks.dtype.kind in "iu" else None)

    def get_bboxes(self) -> Tensor:
        """Return the boxes (N, 4) float around the masks, xyxy; zeros around empty ones."""
        edges: list[np.ndarray] = []
        columns, rows = (np.asarray(self.masks.any(axis=axis)) for axis in (1, 2))
        for lines in (columns, rows):  # (N, W), (N, H)
            edges += [lines.argmax(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1)]
        x1, x2, y1, y2 = edges
        boxes = np.where(rows.any(axis=1, keepdims=True), np.stack([x1, y1, x2, y2], axis=1), 0)
        return torch.from_numpy(boxes.astype(np.float32))

    def to_ndarray(self) -> np.ndarray:
        """Return the masks as an array (N, H, W)."""
        return self.masks

    def _with(self, masks: np.ndarray) -> Self:
        return type(self)(masks, *masks.shape[1:])

    def _stacked(self, masks: list[np.ndarray], shape: tuple[int, int]) -> Self:
        return type(self)(np.stack(masks) if masks else np.zeros((0, *shape), self.masks.dtype), *shape)


def window(bbox: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """Return a box (4,) as whole pixels x1, y1, x2, y2 inside an image, at least one pixel large."""
    x1, y1, x2, y2 = (int(edge) for edge in bbox)
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return x1, y1, min(max(x2, x1 + 1), width), min(max(y2, y1 + 1), height)

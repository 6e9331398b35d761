"""Masks as polygons, whose corners are moved instead of pixels.

Points have their origin at the corner of the first pixel: pixel (0, 0) has its middle at (.5, .5).

Shapes: N masks, P points, H rows, W columns; K boxes, h x w the size that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from visuite.cv.image.warp import warp_points
from visuite.cv.masks.base import Index, InstanceMasks, positions
from visuite.cv.masks.bitmap import BitmapMasks, window
from visuite.cv.masks.rle import polygons_to_bitmap

#: The parts of one mask, each x1, y1, x2, y2, ...
Polygons = list[np.ndarray]
_DIRECTIONS = ("horizontal", "vertical", "diagonal")


class PolygonMasks(InstanceMasks):
    """Masks as unions of polygons. A mask of which nothing is left is one polygon of three zero points.

    Args:
        masks: N lists of polygons, each x1, y1, x2, y2, ... in pixels.
        height: H.
        width: W.

    Raises:
        TypeError: a mask is no list of polygons.
        ValueError: a polygon has an odd number of values, or less than three points.
    """

    def __init__(self, masks: Sequence[Sequence[np.ndarray]], height: int, width: int) -> None:
        self.height, self.width = int(height), int(width)
        self.masks: list[Polygons] = [_checked(number, mask) for number, mask in enumerate(masks)]

    @classmethod
    def random(
        cls,
        num_masks: int = 3,
        height: int = 32,
        width: int = 32,
        n_verts: int = 5,
        dtype: type = np.float32,
        rng: int | np.random.Generator | None = None,
    ) -> Self:
        """Return polygons around random places, to try things out with."""
        generator = np.random.default_rng(rng)
        size = np.array([width, height])
        angles = np.sort(generator.uniform(0, 2 * np.pi, (num_masks, n_verts)))
        radii = generator.uniform(0.15, 0.4, (num_masks, n_verts, 1)) * size
        middles = generator.uniform(0, 1, (num_masks, 1, 2)) * size
        points = middles + radii * np.stack([np.cos(angles), np.sin(angles)], axis=2)
        return cls([[one.reshape(-1).astype(dtype)] for one in points.clip(0, size)], height, width)

    @classmethod
    def cat(cls, masks: Sequence[Self]) -> Self:
        """Join containers of equal size, one after the other."""
        size = cls._joinable(masks)
        return cls([mask for one in masks for mask in one.masks], *size)

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: Index) -> Self:
        return type(self)([self.masks[i] for i in positions(index, len(self))], self.height, self.width)

    def __iter__(self) -> Iterator[Polygons]:
        return iter(self.masks)

    def resize(self, out_shape: tuple[int, int], interpolation: str = "nearest") -> Self:
        """Stretch to (h, w)."""
        factors = np.array([out_shape[1] / self.width, out_shape[0] / self.height])
        return self._moved(lambda points: points * factors, out_shape)

    def flip(self, flip_direction: str = "horizontal") -> Self:
        """Flip `horizontal`, `vertical` or `diagonal` (both)."""
        if flip_direction not in _DIRECTIONS:
            raise ValueError(f"direction {flip_direction!r} is none of {list(_DIRECTIONS)}")
        turned = np.array([flip_direction != "vertical", flip_direction != "horizontal"])
        far = np.array([self.width, self.height]) * turned
        return self._moved(lambda points: np.where(turned, far - points, points), (self.height, self.width))

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> Self:
        """Pad at the right and the bottom to (h, w), with nothing.

        Raises:
            ValueError: another `pad_val` than 0.
        """
        _no_border(pad_val)
        return type(self)(self.masks, *out_shape)

    def crop(self, bbox: np.ndarray) -> Self:
        """Cut out the box x1, y1, x2, y2 (4,), as far as it lies in the image; the result is 1 x 1 at least."""
        x1, y1, x2, y2 = window(bbox, self.height, self.width)
        return self._moved(lambda points: points - np.array([x1, y1]), (y2 - y1, x2 - x1), cut=True)

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> Self:
        """Put the masks onto an empty canvas (expanded_h, expanded_w), their corner at (left, top) >= 0."""
        return self._moved(lambda points: points + np.array([left, top]), (expanded_h, expanded_w), cut=True)

    def warp_affine(
        self, out_shape: tuple[int, int], matrix: np.ndarray, interpolation: str = "nearest", border_value: int = 0
    ) -> Self:
        """Map by an affine matrix (2, 3) of pixels' indices.

        Raises:
            ValueError: another `border_value` than 0.
        """
        _no_border(border_value)
        return self._moved(lambda points: warp_points(points, matrix), out_shape, cut=True)

    def crop_and_resize(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: tuple[int, int],
        inds: np.ndarray | Tensor,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> Self:
        """Bring the masks that `inds` (K,) names into the coordinates of K boxes (K, 4), each made (h, w) large."""
        boxes = torch.as_tensor(bboxes).detach().double().cpu().numpy().reshape(-1, 4)
        corners = boxes[:, :2]
        factors = np.array(out_shape[::-1]) / (boxes[:, 2:] - corners).clip(min=0.1)  # no box is endlessly small
        chosen = torch.as_tensor(inds).tolist()
        masks = [
            [((part.reshape(-1, 2) - corner) * factor).reshape(-1) for part in self.masks[number]]
            for number, corner, factor in zip(chosen, corners, factors, strict=True)
        ]
        return type(self)(masks, *out_shape)

    def crop_to_tensor(
        self, bboxes: Tensor, out_shape: tuple[int, int], inds: Tensor, *, binarize: bool = True
    ) -> Tensor:
        """Do as `crop_and_resize` does, and return (K, h, w) float, 0 or 1, on the device of the boxes."""
        return self.crop_and_resize(bboxes, out_shape, inds).to_tensor(torch.float32, bboxes.device)

    @property
    def areas(self) -> np.ndarray:
        """(N,), in pixels; where parts overlap, each counts."""
        return np.array([sum(polygon_area(part.reshape(-1, 2)) for part in mask) for mask in self.masks], np.float64)

    def get_bboxes(self) -> Tensor:
        """Return the boxes (N, 4) float around the masks, xyxy; zeros around empty ones."""
        boxes = torch.zeros((len(self), 4))
        for box, mask in zip(boxes, self.masks, strict=True):
            points = np.concatenate(mask).reshape(-1, 2)
            box[:] = torch.from_numpy(np.concatenate([points.min(axis=0), points.max(axis=0)]))
        return boxes

    def to_bitmap(self) -> BitmapMasks:
        """Return the masks as bitmaps."""
        return BitmapMasks(self.to_ndarray(), self.height, self.width)

    def to_ndarray(self) -> np.ndarray:
        """Return the masks as an array (N, H, W) of bytes, drawn as COCO's tools draw them."""
        drawn = [polygons_to_bitmap(mask, self.height, self.width) for mask in self.masks]
        return np.array(drawn, np.uint8).reshape(-1, self.height, self.width)

    def _moved(self, move: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int], cut: bool = False) -> Self:
        """Return the masks with their points (P, 2) moved, and what is outside of (h, w) cut off where asked."""
        masks = []
        for mask in self.masks:
            parts = [move(part.reshape(-1, 2)).astype(part.dtype) for part in mask]
            if cut:
                parts = [part for part in (clip_polygon(part, shape) for part in parts) if len(part)]
            masks.append([part.reshape(-1) for part in parts] or [np.zeros(6, mask[0].dtype)])
        return type(self)(masks, *shape)


def polygon_area(points: np.ndarray) -> float:
    """Return the area that a polygon (P, 2) encloses, by the shoelace formula."""
    x, y = (points - points[0]).astype(np.float64).T  # near the origin nothing is lost to rounding
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def clip_polygon(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the part of a polygon (P, 2) that lies in an image of shape (h, w), (Q, 2); empty where that has no area.

    Sutherland and Hodgman, Reentrant Polygon Clipping, 1974: a part that falls in pieces stays one polygon, whose
    pieces are joined along the border.
    """
    limits = np.array([shape[1], shape[0]])
    low, high = points.min(axis=0), points.max(axis=0)
    if (low >= 0).all() and (high <= limits).all():
        return points
    if (high <= 0).any() or (low >= limits).any():
        return points[:0]
    for axis in (0, 1):
        if low[axis] < 0:
            points = _clip_side(points, axis, 0, 1)
        if high[axis] > limits[axis] and len(points):
            points = _clip_side(points, axis, limits[axis], -1)
        if len(points) < 3:
            return points[:0]
    return points if polygon_area(points) > 0 else points[:0]


def _clip_side(points: np.ndarray, axis: int, bound: float, sign: int) -> np.ndarray:
    """Keep what lies above (`sign` 1) or below (-1) a bound of one coordinate."""
    following = np.roll(points, -1, axis=0)
    here, there = sign * (points[:, axis] - bound), sign * (following[:, axis] - bound)
    inside, crosses = here >= 0, (here >= 0) != (there >= 0)
    share = np.divide(here, here - there, out=np.zeros_like(here), where=crosses)
    crossing = points + share[:, None] * (following - points)
    crossing[:, axis] = bound
    both = np.stack([points, crossing], axis=1)  # each point, then where the edge that leaves it crosses the bound
    return both[np.stack([inside, crosses], axis=1)]


def _checked(number: int, mask: Sequence[np.ndarray]) -> Polygons:
    """Return the polygons of one mask as flat arrays of floats."""
    if not isinstance(mask, (list, tuple)) or not len(mask):
        raise TypeError(f"mask {number} is a list of at least one polygon, not {mask!r:.80}")
    parts = [np.asarray(part) for part in mask]
    for part in parts:
        if part.ndim != 1 or part.size % 2 or part.size < 6:
            raise ValueError(
                f"mask {number}: a polygon is a flat array x1, y1, x2, y2, ... of three points at least, "
                f"not of shape {part.shape}"
            )
    return [part if part.dtype.kind == "f" else part.astype(np.float64) for part in parts]


def _no_border(value: int) -> None:
    if value != 0:
        raise ValueError(f"polygons have nothing outside of them that could be {value}: turn them into bitmaps first")

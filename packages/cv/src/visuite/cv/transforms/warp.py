"""The affine move of a sample; the other moves are in `moves.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from visuite.cv.image import imwarp
from visuite.cv.image.warp import warp_points
from visuite.cv.transforms.moves import (
    Numbers,
    Sample,
    box_keys,
    clip_to,
    hide_outside,
    record_homography,
    seg_keys,
)


def warp_sample(
    results: Sample,
    matrix: np.ndarray,
    size: tuple[int, int] | None = None,
    *,
    interpolation: str = "bilinear",
    pad_val: Numbers = 0,
    seg_pad_val: float = 255,
    clip_boxes: bool = True,
) -> None:
    """Map the image and all that belongs to it; boxes become the boxes around their mapped corners.

    Args:
        results: The sample, with the keys that `moves.py` tells of. A mask container needs `warp_affine(out_shape,
            matrix)`, which returns a new container.
        matrix: (2, 3), from the index of a pixel (x, y) to its new one.
        size: (w, h) of the result; by default the image's.
        interpolation: Of the image; maps and masks take the nearest pixel.
        pad_val: What stands where nothing comes from the image.
        seg_pad_val: The same for maps; masks get zeros.
        clip_boxes: Clip boxes to the image. Boxes that leave it stay, empty.
    """
    h, w = results["img"].shape[:2]
    size = size or (w, h)
    results["img"] = imwarp(results["img"], matrix, size, interpolation=interpolation, border_value=pad_val)
    results["img_shape"] = results["img"].shape[:2]
    for key in seg_keys(results):
        results[key] = imwarp(results[key], matrix, size, interpolation="nearest", border_value=seg_pad_val)
    warp_objects(results, matrix, size, clip_boxes=clip_boxes)


def warp_objects(
    results: dict[str, Any], matrix: np.ndarray, size: tuple[int, int], *, clip_boxes: bool = True
) -> None:
    """Map what belongs to the image's objects into an image of size (w, h); arguments as of `warp_sample`."""
    shape = (size[1], size[0])
    for key in box_keys(results):
        boxes = warp_boxes(results[key], matrix)
        results[key] = clip_to(boxes, shape) if clip_boxes else boxes
    if "gt_keypoints" in results:
        points = results["gt_keypoints"].copy()
        points[..., :2] = warp_points(points[..., :2], matrix)
        results["gt_keypoints"] = hide_outside(points, shape) if points.shape[-1] > 2 else points
    if results.get("gt_masks") is not None:
        results["gt_masks"] = _warp_masks(results["gt_masks"], matrix, size)
    record_homography(results, matrix[:, :2], warp_points(np.zeros(2), matrix))


def warp_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the boxes (N, 4) around the mapped corners of boxes (N, 4)."""
    corners = warp_points(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2), matrix)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def _warp_masks(masks: Any, matrix: np.ndarray, size: tuple[int, int]) -> Any:
    if not isinstance(masks, np.ndarray):
        if not hasattr(masks, "warp_affine"):
            raise TypeError(f"{type(masks).__name__} cannot be mapped: it has no warp_affine(out_shape, matrix)")
        return masks.warp_affine((size[1], size[0]), matrix)
    layers = [imwarp(mask.view(np.uint8), matrix, size, interpolation="nearest").view(masks.dtype) for mask in masks]
    return np.array(layers, masks.dtype).reshape(-1, size[1], size[0])

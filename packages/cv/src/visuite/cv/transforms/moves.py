"""The geometric moves of a sample: each moves the image and all that belongs to it together.

Keys moved, where a sample has them:
    img            (H, W) or (H, W, C)
    gt_bboxes      (N, 4) float, x1 y1 x2 y2 in pixels, the right and lower edge being outside
    proposals      (M, 4) float, likewise
    gt_keypoints   (N, K, 2) or (N, K, 3), x y and visibility
    gt_masks       (N, H, W), or an object with the methods of `MaskTargets`
    gt_seg_map     (H, W), and what else `seg_fields` names
`img_shape` (h, w) follows the image; `pad_param`, the pixels that a letter box has at the top, the bottom, the left and
the right, trades sides where it is flipped; and `homography_matrix` (3, 3) maps points of the loaded image to where
they are now. Points have their origin at the corner of the first pixel, whose middle is at (.5, .5). Arrays are
replaced, never written to, for samples may share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from visuite.cv.image import imflip, impad, imresize

Sample = dict[str, Any]
Numbers = float | Sequence[float]


class MaskTargets(Protocol):
    """What a mask container must be able to do; each method returns a new container."""

    def flip(self, flip_direction: str = "horizontal") -> MaskTargets:
        """Flip as `imflip` does."""

    def resize(self, out_shape: tuple[int, int]) -> MaskTargets:
        """Resize to (h, w)."""

    def crop(self, bbox: np.ndarray) -> MaskTargets:
        """Cut out a box (4,), its right and lower edge being outside."""

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> MaskTargets:
        """Pad at the right and the bottom to (h, w)."""

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> MaskTargets:
        """Put the masks onto an empty canvas (expanded_h, expanded_w), their corner at (left, top) >= 0."""


def flip_sample(results: Sample, direction: str) -> None:
    """Flip `horizontal`, `vertical` or `diagonal` (both)."""
    h, w = results["img"].shape[:2]
    results["img"] = imflip(results["img"], direction)
    for key in seg_keys(results):
        results[key] = imflip(results[key], direction)
    for key in box_keys(results):
        results[key] = flip_boxes(results[key], (h, w), direction)
    turned = np.array([direction != "vertical", direction != "horizontal"])
    record_homography(results, np.where(turned, -1.0, 1.0), turned * (w, h))
    if "gt_keypoints" in results:
        points = results["gt_keypoints"].copy()
        points[..., :2] = np.where(turned, np.array([w, h]) - points[..., :2], points[..., :2])
        results["gt_keypoints"] = points
    if "pad_param" in results:
        sides = np.asarray(results["pad_param"]).reshape(2, 2)  # top, bottom; left, right
        results["pad_param"] = np.where(turned[::-1, None], sides[:, ::-1], sides).reshape(4)
    masks = results.get("gt_masks")
    if isinstance(masks, np.ndarray):
        results["gt_masks"] = np.array([imflip(mask, direction) for mask in masks], masks.dtype).reshape(masks.shape)
    elif masks is not None:
        results["gt_masks"] = masks.flip(direction)


def flip_boxes(boxes: np.ndarray, shape: tuple[int, int], direction: str) -> np.ndarray:
    """Flip boxes (..., 4) in an image of shape (h, w)."""
    flipped = boxes.copy()
    if direction != "vertical":
        flipped[..., [0, 2]] = shape[1] - boxes[..., [2, 0]]
    if direction != "horizontal":
        flipped[..., [1, 3]] = shape[0] - boxes[..., [3, 1]]
    return flipped


def resize_sample(
    results: Sample,
    size: tuple[int, int],
    *,
    interpolation: str = "bilinear",
    backend: str = "cv2",
    clip_boxes: bool = True,
) -> None:
    """Resize to (w, h), and note `scale_factor` (w, h); maps and masks take the nearest pixel."""
    results["img"], fx, fy = imresize(results["img"], size, True, interpolation=interpolation, backend=backend)
    results["img_shape"] = results["img"].shape[:2]
    results["scale_factor"] = (fx, fy)
    for key in seg_keys(results):
        results[key] = imresize(results[key], size, interpolation="nearest", backend=backend)
    factors = np.array([fx, fy], np.float32)
    record_homography(results, factors, np.zeros(2))
    for key in box_keys(results):
        boxes = results[key] * np.tile(factors, 2)
        results[key] = clip_to(boxes, results["img_shape"]) if clip_boxes else boxes
    if "gt_keypoints" in results:
        points = results["gt_keypoints"].copy()
        points[..., :2] *= factors
        results["gt_keypoints"] = clip_to(points, results["img_shape"], columns=2) if clip_boxes else points
    masks = results.get("gt_masks")
    if isinstance(masks, np.ndarray):
        layers = [imresize(mask.view(np.uint8), size, interpolation="nearest").view(mask.dtype) for mask in masks]
        results["gt_masks"] = np.array(layers, masks.dtype).reshape(-1, size[1], size[0])
    elif masks is not None:
        results["gt_masks"] = masks.resize((size[1], size[0]))


def crop_sample(results: Sample, window: tuple[int, int, int, int], *, clip_boxes: bool = True) -> None:
    """Cut out x1, y1, x2, y2 (inside the image, right and lower edge outside); boxes that leave it stay, empty."""
    x1, y1, x2, y2 = window
    results["img"] = results["img"][y1:y2, x1:x2]
    results["img_shape"] = results["img"].shape[:2]
    for key in seg_keys(results):
        results[key] = results[key][y1:y2, x1:x2]
    _shift_points(results, -x1, -y1)
    for key in box_keys(results) if clip_boxes else ():
        results[key] = clip_to(results[key], results["img_shape"])
    if "gt_keypoints" in results and results["gt_keypoints"].shape[-1] > 2:
        results["gt_keypoints"] = hide_outside(results["gt_keypoints"], results["img_shape"])
    masks = results.get("gt_masks")
    if isinstance(masks, np.ndarray):
        results["gt_masks"] = masks[:, y1:y2, x1:x2]
    elif masks is not None:
        results["gt_masks"] = masks.crop(np.array(window))


def pad_sample(
    results: Sample,
    padding: tuple[int, int, int, int],
    *,
    pad_val: Numbers = 0,
    seg_pad_val: Numbers = 255,
    mask_pad_val: int = 0,
    padding_mode: str = "constant",
) -> None:
    """Pad by (left, top, right, bottom)."""
    left, top, right, bottom = padding
    results["img"] = impad(results["img"], padding=padding, pad_val=pad_val, padding_mode=padding_mode)
    h, w = results["img_shape"] = results["img"].shape[:2]
    for key in seg_keys(results):
        results[key] = impad(results[key], padding=padding, pad_val=seg_pad_val, padding_mode=padding_mode)
    _shift_points(results, left, top)
    masks = results.get("gt_masks")
    if isinstance(masks, np.ndarray):
        widths = [(0, 0), (top, bottom), (left, right)]
        results["gt_masks"] = np.pad(masks, widths, constant_values=mask_pad_val)
    elif masks is not None:
        at_ends = not left and not top
        results["gt_masks"] = masks.pad((h, w), mask_pad_val) if at_ends else masks.expand(h, w, top, left)


def cut_sample(
    results: Sample,
    window: tuple[int, int, int, int],
    *,
    pad_val: Numbers = 0,
    seg_pad_val: Numbers = 255,
    clip_boxes: bool = True,
) -> None:
    """Cut out x1, y1, x2, y2, which may reach over the image's edges: what lies outside is padded.

    Raises:
        ValueError: the window lies outside altogether.
    """
    h, w = results["img"].shape[:2]
    x1, y1, x2, y2 = window
    inside = (max(x1, 0), max(y1, 0), min(x2, w), min(y2, h))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"the window {window} lies outside of an image {h}x{w}")
    crop_sample(results, inside, clip_boxes=clip_boxes)
    padding = (inside[0] - x1, inside[1] - y1, x2 - inside[2], y2 - inside[3])
    if any(padding):
        pad_sample(results, padding, pad_val=pad_val, seg_pad_val=seg_pad_val)


def box_keys(results: Sample) -> list[str]:
    """Return the keys of arrays of boxes."""
    return [key for key in ("gt_bboxes", "proposals") if isinstance(results.get(key), np.ndarray)]


def seg_keys(results: Sample) -> list[str]:
    """Return the keys of the maps with one class per pixel."""
    named = results.get("seg_fields") or ["gt_seg_map"]
    return [key for key in named if results.get(key) is not None]


def clip_to(values: np.ndarray, shape: tuple[int, int], columns: int = 4) -> np.ndarray:
    """Clip the first `columns` of (..., D), which alternate x and y, to an image of shape (h, w)."""
    clipped = values.copy()
    clipped[..., 0:columns:2] = values[..., 0:columns:2].clip(0, shape[1])
    clipped[..., 1:columns:2] = values[..., 1:columns:2].clip(0, shape[0])
    return clipped


def _shift_points(results: Sample, dx: int, dy: int) -> None:
    shift = np.array([dx, dy], np.float32)
    record_homography(results, np.ones(2), shift)
    for key in box_keys(results):
        results[key] = results[key] + np.tile(shift, 2)
    if "gt_keypoints" in results:
        points = results["gt_keypoints"].copy()
        points[..., :2] += shift
        results["gt_keypoints"] = points


def hide_outside(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Make keypoints outside the image invisible."""
    x, y = points[..., 0], points[..., 1]
    outside = (x < 0) | (x >= shape[1]) | (y < 0) | (y >= shape[0])
    hidden = points.copy()
    hidden[..., 2] = np.where(outside, 0, points[..., 2])
    return hidden


def record_homography(results: Sample, linear: np.ndarray, shift: np.ndarray) -> None:
    """Note that points (x, y) moved: by factors (2,) or a matrix (2, 2), then by a shift (2,)."""
    matrix = np.eye(3, dtype=np.float32)
    matrix[:2, :2] = np.diag(linear) if linear.ndim == 1 else linear
    matrix[:2, 2] = shift
    before = results.get("homography_matrix")
    results["homography_matrix"] = matrix if before is None else matrix @ before

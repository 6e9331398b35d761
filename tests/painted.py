"""Images with painted rectangles, for tests that look whether what is said of an image follows what is seen in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.masks import BitmapMasks, PolygonMasks

Box = tuple[int, int, int, int]


def sample(box: Box = (12, 10, 40, 33), size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    """An image of (w, h) with one white rectangle, which box, masks, map and corner points tell of too."""
    w, h = size
    x1, y1, x2, y2 = box
    mask = np.zeros((h, w), np.uint8)
    mask[y1:y2, x1:x2] = 1
    return {
        "img": np.repeat(mask[..., None] * 255, 3, axis=2),
        "img_shape": (h, w),
        "gt_bboxes": np.array([box], np.float32),
        "gt_keypoints": np.array([[[x1, y1, 2], [x2, y2, 2]]], np.float32),
        "gt_masks": mask[None].copy(),
        "gt_seg_map": mask * 7,
    }


def objects(
    boxes: Sequence[Box],
    size: tuple[int, int] = (64, 48),
    *,
    channels: int = 3,
    first: int = 0,
    polygons: bool = False,
    masks: bool = True,
) -> dict[str, Any]:
    """An image of (w, h) with an object in each of some channels: the object of label i is white in channel i alone.

    Channels of no object are black, labels begin at `first`, and the map of classes is 1 where there is any object.
    """
    w, h = size
    drawn = np.zeros((len(boxes), h, w), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(drawn, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    img = np.zeros((h, w, channels), np.uint8)
    img[..., first : first + len(boxes)] = drawn.transpose(1, 2, 0) * 255
    corners = [[np.array([x1, y1, x2, y1, x2, y2, x1, y2], np.float64)] for x1, y1, x2, y2 in boxes]
    points = np.array([[[x1, y1, 2], [x2, y2, 2]] for x1, y1, x2, y2 in boxes], np.float32)
    made = {
        "img": img,
        "img_shape": (h, w),
        "ori_shape": (h, w),
        "gt_bboxes": np.array(boxes, np.float32).reshape(-1, 4),
        "gt_bboxes_labels": np.arange(first, first + len(boxes)),
        "gt_ignore_flags": np.arange(first, first + len(boxes)) % 2 == 1,
        "gt_keypoints": points.reshape(-1, 2, 3),
        "gt_seg_map": drawn.any(axis=0).astype(np.uint8),
    }
    if masks:
        made["gt_masks"] = PolygonMasks(corners, h, w) if polygons else BitmapMasks(drawn, h, w)
    return made


def extent(mask: np.ndarray) -> np.ndarray:
    """The box around what is set; zeros where nothing is."""
    ys, xs = np.nonzero(mask)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) if len(xs) else np.zeros(4)


def assert_followed(
    results: dict[str, Any], *, tolerance: float = 1.0, white: float = 127, may_drop: bool = False
) -> None:
    """Assert that what is said of each object of `objects` is what is seen of it, and that none was lost or made up.

    Args:
        results: The sample after a transform.
        tolerance: Pixels between the edge of a box and what is seen.
        white: What is brighter is seen.
        may_drop: Objects that are seen may be missing.
    """
    img, (h, w) = results["img"], results["img"].shape[:2]
    assert results["img_shape"] == (h, w)
    labels, boxes = results["gt_bboxes_labels"], results["gt_bboxes"].clip(0, [w, h, w, h])
    assert len(set(labels.tolist())) == len(labels) == len(boxes) == len(results["gt_ignore_flags"])
    assert (results["gt_ignore_flags"] == (labels % 2 == 1)).all()
    for label, box in zip(labels, boxes, strict=True):
        seen = img[..., label] > white
        small = (box[2:] - box[:2]).min() < 2 * tolerance  # of a strip so narrow, no pixel may be seen
        assert small or np.abs(extent(seen) - box).max() <= tolerance, (label, extent(seen), box)
    for channel in () if may_drop else set(range(img.shape[2])) - set(labels.tolist()):
        seen = extent(img[..., channel] > white)
        assert (seen[2:] - seen[:2]).min() <= 2 * tolerance, f"object {channel} is lost, but seen at {seen}"
    if results.get("gt_masks") is not None:
        masks = results["gt_masks"]
        assert (len(masks), masks.height, masks.width) == (len(labels), h, w)
        for mask, box in zip(masks.to_ndarray(), boxes, strict=True):
            small = (box[2:] - box[:2]).min() < 2 * tolerance
            assert small or np.abs(extent(mask) - box).max() <= tolerance

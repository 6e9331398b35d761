"""Leaving out objects that are too small to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms import keep_objects
from visuite.det.registry import TRANSFORMS
from visuite.engine.dataset.transform_base import BaseTransform


@TRANSFORMS.register_module()
class FilterAnnotations(BaseTransform):
    """Drop objects that are too small, and perhaps the image that has none left.

    Args:
        min_gt_bbox_wh: Boxes are wider and higher than this, in pixels.
        min_gt_mask_area: Masks have at least this area, in pixels.
        by_box: Look at the boxes.
        by_mask: Look at the masks.
        by_keypoints: Objects have at least one visible keypoint.
        keep_empty: Drop the image when no object is left (the name says the opposite, but configs mean this); with
            False it stays, without objects. An image that had none before stays anyhow.

    Raises:
        ValueError: none of `by_box`, `by_mask` and `by_keypoints`.
    """

    def __init__(
        self,
        min_gt_bbox_wh: Sequence[float] = (1, 1),
        min_gt_mask_area: float = 1,
        *,
        by_box: bool = True,
        by_mask: bool = False,
        by_keypoints: bool = False,
        keep_empty: bool = True,
    ) -> None:
        if not (by_box or by_mask or by_keypoints):
            raise ValueError("FilterAnnotations looks at boxes (by_box), masks (by_mask) or keypoints (by_keypoints)")
        self.min_gt_bbox_wh = tuple(min_gt_bbox_wh)
        self.min_gt_mask_area = min_gt_mask_area
        self.by_box = by_box
        self.by_mask = by_mask
        self.by_keypoints = by_keypoints
        self.keep_empty = keep_empty

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Drop what is too small."""
        boxes = results["gt_bboxes"]
        if not len(boxes):
            return results
        keep = np.ones(len(boxes), bool)
        if self.by_box:
            keep &= (boxes[:, 2:] - boxes[:, :2] > self.min_gt_bbox_wh).all(axis=1)
        if self.by_mask:
            keep &= results["gt_masks"].areas >= self.min_gt_mask_area
        if self.by_keypoints:
            keep &= (results["gt_keypoints"][..., 2] > 0).any(axis=1)
        if not keep.any() and self.keep_empty:
            return None
        keep_objects(results, keep)
        return results

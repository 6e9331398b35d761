"""Objects pasted into their own image. After Ghiasi et al., Simple Copy-Paste, arXiv:2012.07177."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from visuite.cv.masks import BitmapMasks, polygons_to_bitmap
from visuite.cv.transforms import RandomTransform, keep_objects
from visuite.cv.transforms.moves import flip_boxes, flip_sample
from visuite.cv.transforms.objects import join_objects
from visuite.yolo.registry import TRANSFORMS


@TRANSFORMS.register_module()
class YOLOv5CopyPaste(RandomTransform):
    """Paste the mirror images of some objects, by their masks, where they hide little of others.

    Images without masks stay as they are.

    Args:
        ioa_thresh: An object is pasted if it covers less than this share of each box.
        prob: The share of the objects that are tried, the chance of each.

    Raises:
        ValueError: a share that is none.
    """

    def __init__(self, ioa_thresh: float = 0.3, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1 or not 0 <= ioa_thresh <= 1:
            raise ValueError(f"ioa_thresh {ioa_thresh} and prob {prob} lie between 0 and 1")
        self.ioa_thresh = ioa_thresh
        self.prob = prob

    def draw(self, results: dict[str, Any]) -> np.ndarray:
        """Return the numbers of the objects that are tried, (n,)."""
        count = len(results["gt_bboxes"]) if results.get("gt_masks") is not None else 0
        return np.random.choice(count, round(self.prob * count), replace=False) if count else np.zeros(0, np.int64)

    def apply(self, results: dict[str, Any], drawn: np.ndarray) -> dict[str, Any]:
        """Paste those that fit."""
        fitting = self._fitting(results, drawn)
        if not len(fitting):
            return results
        mirrored = dict(results)
        keep_objects(mirrored, fitting)
        flip_sample(mirrored, "horizontal")
        img, cover = results["img"], _union(mirrored["gt_masks"])
        results["img"] = cv2.copyTo(mirrored["img"], cover.view(np.uint8), img.copy()).reshape(img.shape)
        join_objects(results, [mirrored])
        return results

    def _fitting(self, results: dict[str, Any], tried: np.ndarray) -> np.ndarray:
        """Return which of the tried objects fit, one after the other."""
        there, fitting = results["gt_bboxes"], []
        for number, box in zip(tried, flip_boxes(there[tried], results["img"].shape[:2], "horizontal"), strict=True):
            common = np.minimum(there[:, 2:], box[2:]) - np.maximum(there[:, :2], box[:2])
            areas = (there[:, 2:] - there[:, :2]).prod(axis=1)
            if (common.clip(0).prod(axis=1) < self.ioa_thresh * areas).all():
                fitting.append(number)
                there = np.concatenate([there, box[None]])
        return np.array(fitting, np.int64)


def _union(masks: Any) -> np.ndarray:
    """Return what any of the masks covers, (H, W) bool."""
    if isinstance(masks, BitmapMasks):
        return np.asarray(masks.masks.any(axis=0))
    return polygons_to_bitmap([part for mask in masks for part in mask], masks.height, masks.width)

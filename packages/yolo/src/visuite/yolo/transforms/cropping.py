"""Cutting a part out of the image, as PP-YOLOE trains. Xu et al., arXiv:2203.16250; after SSD, arXiv:1512.02325."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms import RandomTransform, keep_objects
from visuite.cv.transforms.crop import Window
from visuite.cv.transforms.moves import crop_sample
from visuite.det.transforms.cropping import middles_inside, window_overlaps
from visuite.yolo.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PPYOLOERandomCrop(RandomTransform):
    """Cut out a window that overlaps an object well enough; objects whose middle lies outside are dropped.

    Args:
        aspect_ratio: The range of the window's width over its height, next to the image's.
        thresholds: The least IoUs of a window with the object that it overlaps most. Chance says in which order they
            are tried.
        scaling: The range of the window's size, the root of its share of the image.
        num_attempts: Windows that are tried for each threshold.
        allow_no_crop: No crop is among what is tried.
        cover_all_box: The window overlaps every object so well.

    Raises:
        ValueError: a range that is none.
    """

    def __init__(
        self,
        aspect_ratio: Sequence[float] = (0.5, 2.0),
        thresholds: Sequence[float] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9),
        *,
        scaling: Sequence[float] = (0.3, 1.0),
        num_attempts: int = 50,
        allow_no_crop: bool = True,
        cover_all_box: bool = False,
    ) -> None:
        if not 0 < aspect_ratio[0] <= 1 <= aspect_ratio[1] or not 0 < scaling[0] <= scaling[1] <= 1:
            raise ValueError(
                f"aspect_ratio {tuple(aspect_ratio)} is a range about 1, and scaling {tuple(scaling)} a range in (0, 1]"
            )
        self.aspect_ratio = (aspect_ratio[0], aspect_ratio[1])
        self.thresholds = tuple(thresholds)
        self.scaling = (scaling[0], scaling[1])
        self.num_attempts = num_attempts
        self.allow_no_crop = allow_no_crop
        self.cover_all_box = cover_all_box

    def draw(self, results: dict[str, Any]) -> Window | None:
        """Return the window, or None for no crop."""
        boxes = results["gt_bboxes"]
        if not len(boxes):
            return None
        for threshold in np.random.permutation([*self.thresholds, *[np.nan] * self.allow_no_crop]):
            if np.isnan(threshold):
                return None
            for _ in range(self.num_attempts):
                window = self._window(*results["img"].shape[:2])
                overlaps = window_overlaps(boxes, window)
                reached = overlaps.min() if self.cover_all_box else overlaps.max()
                if reached >= threshold and middles_inside(boxes, window).any():
                    return window
        return None

    def apply(self, results: dict[str, Any], drawn: Window | None) -> dict[str, Any]:
        """Cut the window out."""
        if drawn is not None:
            keep = middles_inside(results["gt_bboxes"], drawn)
            crop_sample(results, drawn)
            keep_objects(results, keep)
        return results

    def _window(self, h: int, w: int) -> Window:
        """Draw a window that lies in the image."""
        scale = np.random.uniform(*self.scaling)
        low, high = max(self.aspect_ratio[0], scale**2), min(self.aspect_ratio[1], scale**-2)  # those that fit in
        stretch = math.sqrt(np.random.uniform(low, high))
        wide, tall = max(int(w * scale * stretch), 1), max(int(h * scale / stretch), 1)
        wide, tall = min(wide, w), min(tall, h)  # rounding may have made them larger
        x, y = int(np.random.randint(w - wide + 1)), int(np.random.randint(h - tall + 1))
        return x, y, x + wide, y + tall

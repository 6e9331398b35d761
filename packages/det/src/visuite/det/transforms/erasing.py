"""Erasing parts of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.masks import PolygonMasks
from visuite.cv.transforms import RandomTransform, keep_objects
from visuite.cv.transforms.crop import Window
from visuite.cv.transforms.erasing import number_range
from visuite.cv.transforms.moves import Numbers, seg_keys
from visuite.det.registry import TRANSFORMS
from visuite.det.structures import BitmapMasks


@TRANSFORMS.register_module()
class RandomErasing(RandomTransform):
    """Erase some rectangles, from masks and maps too, and drop objects that are mostly gone. arXiv:1708.04896.

    Polygons become bitmaps, as they can have no holes.

    Args:
        n_patches: How many, or the least and the most.
        ratio: The rectangles' edges over the image's, or the least and the largest.
        squared: Draw one ratio for both edges.
        bbox_erased_thr: Objects are dropped when a larger share of their box is erased.
        img_border_value: What fills the image: one value, or one per channel.
        mask_border_value: What fills masks.
        seg_ignore_label: What fills maps of classes.

    Raises:
        ValueError: a range that is none.
    """

    def __init__(
        self,
        n_patches: int | Sequence[int],
        ratio: float | Sequence[float],
        *,
        squared: bool = True,
        bbox_erased_thr: float = 0.9,
        img_border_value: Numbers = 128,
        mask_border_value: int = 0,
        seg_ignore_label: int = 255,
    ) -> None:
        self.n_patches = number_range(n_patches, "n_patches")
        self.ratio = number_range(ratio, "ratio")
        if self.ratio[1] > 1 or not 0 < bbox_erased_thr <= 1:
            raise ValueError(f"ratio {ratio} and bbox_erased_thr {bbox_erased_thr} are shares")
        self.squared = squared
        self.bbox_erased_thr = bbox_erased_thr
        self.img_border_value = img_border_value
        self.mask_border_value = mask_border_value
        self.seg_ignore_label = seg_ignore_label

    def draw(self, results: dict[str, Any]) -> list[Window]:
        """Return the rectangles."""
        h, w = results["img"].shape[:2]
        patches = []
        for _ in range(np.random.randint(self.n_patches[0], self.n_patches[1] + 1)):
            ratios = np.random.uniform(*self.ratio, 1 if self.squared else 2)
            wide, tall = int(w * ratios[0]), int(h * ratios[-1])
            x, y = np.random.randint(w - wide + 1), np.random.randint(h - tall + 1)
            patches.append((x, y, x + wide, y + tall))
        return patches

    def apply(self, results: dict[str, Any], drawn: Sequence[Window]) -> dict[str, Any]:
        """Erase the rectangles."""
        erased = np.zeros(results["img"].shape[:2], bool)
        for x1, y1, x2, y2 in drawn:
            erased[y1:y2, x1:x2] = True
        results["img"] = results["img"].copy()
        results["img"][erased] = self.img_border_value
        for key in seg_keys(results):
            results[key] = np.where(erased, np.asarray(self.seg_ignore_label, results[key].dtype), results[key])
        masks = results.get("gt_masks")
        if masks is not None:
            results["gt_masks"] = self._erase(masks, erased)
        if "gt_bboxes" in results:
            shares = np.array([_share(erased, box) for box in results["gt_bboxes"]])
            keep_objects(results, shares <= self.bbox_erased_thr)
        return results

    def _erase(self, masks: Any, erased: np.ndarray) -> Any:
        if isinstance(masks, PolygonMasks):
            masks = masks.to_bitmap()
        array = masks if isinstance(masks, np.ndarray) else masks.to_ndarray()
        holed = np.where(erased, np.asarray(self.mask_border_value, array.dtype), array)
        return holed if isinstance(masks, np.ndarray) else BitmapMasks(holed, *erased.shape)


def _share(erased: np.ndarray, box: np.ndarray) -> float:
    """Return the share of a box (4,) that is erased."""
    x1, y1, x2, y2 = np.round(box).astype(int).clip(0)
    inside = erased[y1:y2, x1:x2]
    return float(inside.mean()) if inside.size else 0.0

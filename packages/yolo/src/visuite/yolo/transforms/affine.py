"""The random affine map of YOLOv5's recipe, about the image's middle, and what it leaves of objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.masks import BitmapMasks, PolygonMasks, visible_boxes
from visuite.cv.transforms import RandomTransform, keep_objects
from visuite.cv.transforms.moves import Numbers
from visuite.cv.transforms.warp import warp_sample
from visuite.yolo.registry import TRANSFORMS

_EPS = 1e-9


@dataclass(frozen=True)
class AffineDraw:
    """What is drawn: the matrix (2, 3) of points, and the factor in it."""

    matrix: np.ndarray
    factor: float


@TRANSFORMS.register_module()
class YOLOv5RandomAffine(RandomTransform):
    """Scale, turn, shear and move the image about its middle; objects of which too little is left are dropped.

    Args:
        max_rotate_degree: The most degrees, either way.
        max_translate_ratio: How far the image's middle moves from that of the result, as a share of the result's width
            and height, either way.
        scaling_ratio_range: Of the factor.
        max_shear_degree: The most degrees along each axis, either way.
        border: (w, h) added on both sides of the result; negative, it cuts a mosaic down to one image's size.
        border_val: What comes in from outside: one value, or one per channel.
        bbox_clip_border: Clip boxes to the result.
        min_bbox_size: Objects are wider and higher than this, in pixels,
        min_area_ratio: show more than this share of their box,
        max_aspect_ratio: and are not this many times as wide as high, or as high as wide.
        use_mask_refine: Make boxes around what is seen of the masks, where there are any, instead of around the mapped
            boxes: those grow when they turn.
        resample_num: Without effect: boxes of masks are exact, however few points a polygon has.

    Raises:
        ValueError: a share or a factor that is none.
    """

    def __init__(
        self,
        max_rotate_degree: float = 10.0,
        max_translate_ratio: float = 0.1,
        *,
        scaling_ratio_range: Sequence[float] = (0.5, 1.5),
        max_shear_degree: float = 2.0,
        border: Sequence[int] = (0, 0),
        border_val: Numbers = (114, 114, 114),
        bbox_clip_border: bool = True,
        min_bbox_size: float = 2,
        min_area_ratio: float = 0.1,
        use_mask_refine: bool = False,
        max_aspect_ratio: float = 20.0,
        resample_num: int = 1000,
    ) -> None:
        if not 0 <= max_translate_ratio <= 1 or not 0 < scaling_ratio_range[0] <= scaling_ratio_range[1]:
            raise ValueError(
                f"max_translate_ratio {max_translate_ratio} lies in [0, 1], and scaling_ratio_range "
                f"{tuple(scaling_ratio_range)} is a range of positive factors"
            )
        self.max_rotate_degree = max_rotate_degree
        self.max_translate_ratio = max_translate_ratio
        self.scaling_ratio_range = (scaling_ratio_range[0], scaling_ratio_range[1])
        self.max_shear_degree = max_shear_degree
        self.border = (border[0], border[1])
        self.border_val = border_val
        self.bbox_clip_border = bbox_clip_border
        self.min_bbox_size = min_bbox_size
        self.min_area_ratio = min_area_ratio
        self.use_mask_refine = use_mask_refine
        self.max_aspect_ratio = max_aspect_ratio

    def draw(self, results: dict[str, Any]) -> AffineDraw:
        """Return the map."""
        h, w = results["img"].shape[:2]
        turn = math.radians(np.random.uniform(-self.max_rotate_degree, self.max_rotate_degree))
        factor = np.random.uniform(*self.scaling_ratio_range)
        shear_x, shear_y = np.tan(np.radians(np.random.uniform(-self.max_shear_degree, self.max_shear_degree, 2)))
        share = 0.5 + np.random.uniform(-self.max_translate_ratio, self.max_translate_ratio, 2)
        rotation = factor * np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        linear = np.array([[1, shear_x], [shear_y, 1]]) @ rotation
        middle = share * self._size(results)  # of the image, in the result
        return AffineDraw(np.column_stack([linear, middle - linear @ (w / 2, h / 2)]), factor)

    def apply(self, results: dict[str, Any], drawn: AffineDraw) -> dict[str, Any]:
        """Map the sample, and drop the objects of which too little is left."""
        size, before = self._size(results), results.get("gt_bboxes")
        boxes = self._boxes_of_polygons(results, drawn.matrix, size)
        linear, shift = drawn.matrix[:, :2], drawn.matrix[:, 2]
        of_pixels = np.column_stack([linear, linear @ (0.5, 0.5) + shift - 0.5])  # from index to index
        if size != results["img"].shape[1::-1] or not np.allclose(of_pixels, np.eye(2, 3), atol=_EPS):
            warp_sample(results, of_pixels, size, pad_val=self.border_val, clip_boxes=self.bbox_clip_border)
        if boxes is not None:
            results["gt_bboxes"] = boxes
        elif self.use_mask_refine and isinstance(results.get("gt_masks"), BitmapMasks):
            results["gt_bboxes"] = results["gt_masks"].get_bboxes().numpy()
        if before is not None:
            keep_objects(results, self._large_enough(before * drawn.factor, results["gt_bboxes"]))
        return results

    def _boxes_of_polygons(
        self, results: dict[str, Any], matrix: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray | None:
        """Return the boxes (N, 4) around what the result shows of polygons; None where they make no boxes."""
        masks = results.get("gt_masks")
        if not self.use_mask_refine or not isinstance(masks, PolygonMasks):
            return None
        return visible_boxes(masks.masks, (size[1], size[0]), matrix)

    def _large_enough(self, before: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Which of the boxes (N, 4) are large enough, also next to what they were, (N,) bool."""
        (w, h), (full_w, full_h) = ((one[:, 2:] - one[:, :2]).clip(0).T for one in (boxes, before))
        wide_or_high = np.maximum(w / (h + _EPS), h / (w + _EPS))
        large = (w > self.min_bbox_size) & (h > self.min_bbox_size)
        return large & (w * h > self.min_area_ratio * full_w * full_h) & (wide_or_high < self.max_aspect_ratio)

    def _size(self, results: dict[str, Any]) -> tuple[int, int]:
        """Return the result's (w, h)."""
        h, w = results["img"].shape[:2]
        return w + 2 * self.border[0], h + 2 * self.border[1]

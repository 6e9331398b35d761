"""The form in which a sample is handed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.masks import BitmapMasks, polygons_to_bitmap
from visuite.cv.transforms import keep_objects
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.yolo.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RemoveDataElement(BaseTransform):
    """Take out what later transforms need not carry along, such as masks that boxes were made of.

    Args:
        keys: One key or several; those that a sample lacks are no fault.
    """

    def __init__(self, keys: str | Sequence[str]) -> None:
        self.keys = [keys] if isinstance(keys, str) else list(keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Take them out."""
        for key in self.keys:
            results.pop(key, None)
        return results


@TRANSFORMS.register_module()
class Polygon2Mask(BaseTransform):
    """Draw polygons into small bitmaps, which a head for masks learns from.

    With `mask_overlap`, all objects go into one map `gt_panoptic_seg` (h, w), `gt_masks` is taken out, and the objects
    are sorted, large ones first: the map is 0 where there is none, else 1 + the object's number, small ones lying over
    large ones. Without it, `gt_masks` becomes N bitmaps of that size.

    Args:
        downsample_ratio: The image's width and height over the bitmaps'.
        mask_overlap: See above.
        coco_style: Without effect: polygons are drawn as COCO's tools draw them anyhow.
    """

    def __init__(self, downsample_ratio: int = 4, mask_overlap: bool = True, *, coco_style: bool = False) -> None:
        self.downsample_ratio = downsample_ratio
        self.mask_overlap = mask_overlap

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw the polygons."""
        h, w = (edge // self.downsample_ratio for edge in results["img_shape"][:2])
        masks = results["gt_masks"]
        drawn = [polygons_to_bitmap([part / self.downsample_ratio for part in mask], h, w) for mask in masks]
        bitmaps = BitmapMasks(drawn, h, w)
        if not self.mask_overlap:
            results["gt_masks"] = bitmaps
            return results
        order = np.argsort(-bitmaps.areas, kind="stable")
        del results["gt_masks"]
        keep_objects(results, order)
        overlap = np.zeros((h, w), np.uint8 if len(order) < 256 else np.int32)
        for number, place in enumerate(order, 1):
            overlap[drawn[place]] = number
        results["gt_panoptic_seg"] = overlap
        return results

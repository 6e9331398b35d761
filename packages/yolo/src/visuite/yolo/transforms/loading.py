"""Loading without what YOLO does not learn from."""

from __future__ import annotations

from typing import Any

from visuite.cv.masks import PolygonMasks, bitmap_to_polygons, decode_rle, is_rle, joined_polygons
from visuite.cv.transforms import LoadAnnotations as LoadAllAnnotations
from visuite.cv.transforms import keep_objects
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.yolo.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Make arrays of an image's objects, as `visuite.cv.transforms.LoadAnnotations` does, but leave out the ignored.

    Crowds, what is marked as ignored, and objects whose masks cannot be read are left out at once: losses of the YOLO
    family know no ignored objects. `mmdet.LoadAnnotations` keeps them.

    Args:
        mask2bbox: Make boxes of the masks, instead of taking those of the annotations.
        poly2mask: Draw polygons into bitmaps; else run lengths become polygons, so that no object is lost.
        merge_polygons: Join the polygons of an object to one.
        **kwargs: As of that transform: `with_bbox`, `with_mask`, ...

    Raises:
        ValueError: `mask2bbox` without `with_mask`.
    """

    def __init__(
        self, mask2bbox: bool = False, poly2mask: bool = False, *, merge_polygons: bool = True, **kwargs: Any
    ) -> None:
        if mask2bbox and not kwargs.get("with_mask"):
            raise ValueError("mask2bbox makes boxes of masks: set with_mask=True")
        self.load = LoadAllAnnotations(poly2mask=poly2mask, **kwargs)
        self.mask2bbox = mask2bbox
        self.merge_polygons = merge_polygons

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the annotations of what is not ignored."""
        learned = [one for one in results["instances"] if not one.get("ignore_flag")]
        if self.load.with_mask and not self.load.poly2mask:
            learned = [_with_polygons(one) for one in learned]
        found = self.load.transform({**results, "instances": learned})
        results.update({key: value for key, value in found.items() if key != "instances"})
        if results.get("gt_ignore_flags") is not None and results["gt_ignore_flags"].any():
            keep_objects(results, ~results["gt_ignore_flags"])
        masks = results.get("gt_masks")
        if self.merge_polygons and isinstance(masks, PolygonMasks):
            joined = [mask if len(mask) == 1 else [joined_polygons(mask)] for mask in masks]
            masks = results["gt_masks"] = PolygonMasks(joined, masks.height, masks.width)
        if self.mask2bbox and masks is not None:
            results["gt_bboxes"] = masks.get_bboxes().numpy()
        return results


def _with_polygons(instance: dict[str, Any]) -> dict[str, Any]:
    """Return an object with polygons for the run lengths that its mask may be."""
    mask: Any = instance.get("mask")
    return {**instance, "mask": bitmap_to_polygons(decode_rle(mask))} if is_rle(mask) else instance

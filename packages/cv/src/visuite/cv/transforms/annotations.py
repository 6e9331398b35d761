"""From the annotations of a record to arrays.

Shapes: N objects, K keypoints, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visuite.cv.image import read_class_map
from visuite.cv.masks import BitmapMasks, PolygonMasks, decode_rle, is_rle, polygons_to_bitmap
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS

#: A mask that cannot be read has no area.
_NO_POLYGONS = [np.zeros(6)]
_LEAST_NUMBERS = 6  # three corners


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Make arrays of what a record says of an image's objects, its `instances`, and read its map of classes.

    An instance is a dict: `bbox` x1, y1, x2, y2; `bbox_label`; `ignore_flag`; `mask`, a list of polygons or run lengths
    `dict(size, counts)`; `keypoints` x, y, visibility for each point. An object whose mask cannot be read is ignored.

    Sets:
        gt_bboxes (N, 4) float32 and gt_ignore_flags (N,) bool, `with_bbox`
        gt_bboxes_labels (N,) int64, `with_label`
        gt_masks of N masks, and gt_ignore_flags, `with_mask`
        gt_keypoints (N, K, 3) float32, `with_keypoints`
        gt_seg_map (H, W) and ignore_index, `with_seg`, read from `seg_map_path` where the record has one

    Args:
        with_bbox: See above, as the next ones.
        with_label: See above.
        with_mask: See above.
        with_seg: See above.
        with_keypoints: See above.
        poly2mask: Draw polygons into bitmaps, at once; else run lengths cannot be read.
        box_type: `hbox` or None, the only kind of boxes there is.
        reduce_zero_label: Make class 0 of the map the ignored one, and every other one less.
        ignore_index: The class of the map that is not learned from.
        imdecode_backend: How the map is decoded.
        backend_args: Options of the file backend.

    Raises:
        ValueError: another `box_type`, or boxes, masks or keypoints of a wrong shape.
        KeyError: the record or one of its instances lacks what is asked for.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        *,
        with_mask: bool = False,
        with_seg: bool = False,
        with_keypoints: bool = False,
        poly2mask: bool = True,
        box_type: str | None = "hbox",
        reduce_zero_label: bool = False,
        ignore_index: int = 255,
        imdecode_backend: str = "cv2",
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        if box_type not in ("hbox", None):
            raise ValueError(f"box_type {box_type!r} is not known: boxes are horizontal here ('hbox'), x1 y1 x2 y2")
        self.with_bbox = with_bbox
        self.with_label = with_label
        self.with_mask = with_mask
        self.with_seg = with_seg
        self.with_keypoints = with_keypoints
        self.poly2mask = poly2mask
        self.reduce_zero_label = reduce_zero_label
        self.ignore_index = ignore_index
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the annotations."""
        if self.with_bbox:
            results["gt_bboxes"] = _numbers(results, "bbox", np.float32, (4,))
            results["gt_ignore_flags"] = _ignore_flags(results)
        if self.with_label:
            results["gt_bboxes_labels"] = _numbers(results, "bbox_label", np.int64, ())
        if self.with_keypoints:
            results["gt_keypoints"] = _numbers(results, "keypoints", np.float32, (-1, 3))
        if self.with_mask:
            self._load_masks(results)
        if self.with_seg:
            self._load_seg_map(results)
        if self.with_bbox or self.with_mask:
            # What is loaded before resizing is resized too, and somebody may want to know that later.
            results["gt_frame"] = "file" if "scale_factor" in results else "input"
        return results

    def _load_masks(self, results: dict[str, Any]) -> None:
        height, width = results["ori_shape"][:2]
        flags = _ignore_flags(results)
        given = [one.get("mask") for one in _instances(results)]
        masks = [readable_mask(mask, run_lengths=self.poly2mask) for mask in given]
        flags |= np.array([mask is None for mask in masks], bool)
        if self.poly2mask:
            drawn = [decode_rle(m) if is_rle(m) else polygons_to_bitmap(m or (), height, width) for m in masks]
            results["gt_masks"] = BitmapMasks(drawn, height, width)
        else:
            results["gt_masks"] = PolygonMasks([mask or _NO_POLYGONS for mask in masks], height, width)
        results["gt_ignore_flags"] = flags

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        if results.get("seg_map_path") is None:
            return
        seg_map = read_class_map(results["seg_map_path"], backend=self.imdecode_backend, backend_args=self.backend_args)
        results["gt_seg_map"] = without_class_zero(seg_map, self.ignore_index) if self.reduce_zero_label else seg_map
        results["ignore_index"] = self.ignore_index


def readable_mask(mask: Any, *, run_lengths: bool = True) -> Any:
    """Return a mask as a list of its good polygons (n,) float, or as run lengths; None for what cannot be read.

    A polygon is good if it has at least three corners, of two numbers each.
    """
    if is_rle(mask):
        return mask if run_lengths else None
    if not isinstance(mask, (list, tuple)):
        return None
    parts = [np.asarray(part, np.float64).reshape(-1) for part in mask if np.size(part) % 2 == 0]
    return [part for part in parts if part.size >= _LEAST_NUMBERS] or None


def without_class_zero(seg_map: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """Return a map (H, W) whose class 0 is the ignored one, and every other class one less."""
    ignored = (seg_map == 0) | (seg_map == ignore_index)
    return np.where(ignored, np.asarray(ignore_index, seg_map.dtype), seg_map - 1)


def _instances(results: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if "instances" not in results:
        raise KeyError(f"the record has no 'instances' to load annotations from, only {sorted(results)}")
    return results["instances"]


def _numbers(results: Mapping[str, Any], key: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Return one array (N, *shape) of what the instances have at a key."""
    rows: list[np.ndarray] = []
    for number, one in enumerate(_instances(results)):
        if key not in one:
            raise KeyError(f"instance {number} has no {key!r}, only {sorted(one)}")
        try:
            rows.append(np.asarray(one[key], dtype).reshape(shape))
        except (TypeError, ValueError):
            raise ValueError(f"instance {number}: {key} is of shape {shape}, not {one[key]!r:.80}") from None
    if not rows:
        return np.zeros((0, *(max(size, 0) for size in shape)), dtype)
    return np.stack(rows)


def _ignore_flags(results: Mapping[str, Any]) -> np.ndarray:
    return np.array([bool(one.get("ignore_flag", 0)) for one in _instances(results)], bool)

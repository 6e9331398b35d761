"""What detection alone loads.

Shapes: N objects, M proposals, H rows, W columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from visuite.cv.image import imread
from visuite.cv.transforms import LoadAnnotations
from visuite.det.registry import TRANSFORMS
from visuite.det.structures import BitmapMasks
from visuite.engine.dataset.transform_base import BaseTransform


@TRANSFORMS.register_module()
class LoadEmptyAnnotations(BaseTransform):
    """Give an image that nobody has annotated no objects at all.

    Args:
        with_bbox: Set `gt_bboxes` (0, 4) and `gt_ignore_flags` (0,).
        with_label: Set `gt_bboxes_labels` (0,).
        with_mask: Set `gt_masks`, of no masks.
        with_seg: Set `gt_seg_map` (H, W), all of it ignored, and `ignore_index`.
        seg_ignore_label: The class that is ignored.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        *,
        with_mask: bool = False,
        with_seg: bool = False,
        seg_ignore_label: int = 255,
    ) -> None:
        self.with_bbox = with_bbox
        self.with_label = with_label
        self.with_mask = with_mask
        self.with_seg = with_seg
        self.seg_ignore_label = seg_ignore_label

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Set the empty truth."""
        height, width = results["img_shape"][:2]
        if self.with_bbox:
            results["gt_bboxes"] = np.zeros((0, 4), np.float32)
            results["gt_ignore_flags"] = np.zeros(0, bool)
        if self.with_label:
            results["gt_bboxes_labels"] = np.zeros(0, np.int64)
        if self.with_mask:
            results["gt_masks"] = BitmapMasks([], height, width)
        if self.with_seg:
            results["gt_seg_map"] = np.full((height, width), self.seg_ignore_label, np.uint8)
            results["ignore_index"] = self.seg_ignore_label
        return results


@TRANSFORMS.register_module()
class LoadPanopticAnnotations(BaseTransform):
    """Read things and stuff: boxes and labels from `instances`, masks and the map of classes from a map of segments.

    The map at `seg_map_path` holds the number of a pixel's segment in its colour, red + 256 green + 256^2 blue;
    `segments_info` lists segments as `dict(id, category, is_thing)`. Kirillov et al., arXiv:1801.00868.

    Args:
        with_bbox: Set `gt_bboxes` (N, 4) and `gt_ignore_flags` (N,).
        with_label: Set `gt_bboxes_labels` (N,).
        with_mask: Set `gt_masks`, the N segments that are things.
        with_seg: Set `gt_seg_map` (H, W), 255 where there is no segment, and `ignore_index`.
        box_type: `hbox` or None, the only kind of boxes there is.
        imdecode_backend: How the map is decoded.
        backend_args: Options of the file backend.

    Raises:
        ValueError: the segments that are things are not as many as the instances.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        *,
        with_mask: bool = True,
        with_seg: bool = True,
        box_type: str | None = "hbox",
        imdecode_backend: str = "cv2",
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        self.objects = LoadAnnotations(with_bbox, with_label, box_type=box_type)
        self.with_mask = with_mask
        self.with_seg = with_seg
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the annotations."""
        self.objects(results)
        if (self.with_mask or self.with_seg) and results.get("seg_map_path") is not None:
            self._load_segments(results)
        return results

    def _load_segments(self, results: dict[str, Any]) -> None:
        colours = imread(results["seg_map_path"], backend=self.imdecode_backend, backend_args=self.backend_args)
        numbers = colours.astype(np.int64) @ np.array([65536, 256, 1])  # blue, green, red
        segments = results["segments_info"]
        things = [one["id"] for one in segments if one["is_thing"]]
        if self.with_mask:
            if len(things) != len(results["instances"]):
                raise ValueError(
                    f"{len(things)} of the segments in segments_info are things, but there are "
                    f"{len(results['instances'])} instances"
                )
            results["gt_masks"] = BitmapMasks([numbers == one for one in things], *numbers.shape)
        if self.with_seg:
            results["gt_seg_map"] = _classes(numbers, {one["id"]: one["category"] for one in segments})
            results["ignore_index"] = 255


def _classes(numbers: np.ndarray, classes: dict[int, int], ignored: int = 255) -> np.ndarray:
    """Return the class of each pixel (H, W) from the number of its segment."""
    known, place = np.unique(numbers, return_inverse=True)
    return np.array([classes.get(int(one), ignored) for one in known], np.uint8)[place.reshape(numbers.shape)]


@TRANSFORMS.register_module()
class LoadProposals(BaseTransform):
    """Make arrays of the regions that another model proposed, `proposals` with `bboxes` (M, 4) and perhaps `scores`.

    Sets `proposals` (M, 4) float32, which from here on moves with the image, and `proposals_scores` (M,) float32.

    Args:
        num_max_proposals: The most to take, from the beginning; by default all.
    """

    def __init__(self, num_max_proposals: int | None = None) -> None:
        self.num_max_proposals = num_max_proposals

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Take the proposals.

        Raises:
            KeyError: the record has none.
        """
        if "proposals" not in results:
            raise KeyError("the record has no 'proposals': give the data set a proposal_file")
        given = results["proposals"]
        boxes = np.asarray(given["bboxes"], np.float32).reshape(-1, 4)[: self.num_max_proposals]
        scores = given["scores"] if "scores" in given else np.zeros(len(boxes))
        results["proposals"] = boxes
        results["proposals_scores"] = np.asarray(scores, np.float32)[: self.num_max_proposals]
        return results

"""From the dict of the pipeline to what a detector takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from visuite.cv.transforms import image_to_tensor
from visuite.det.registry import TRANSFORMS
from visuite.det.structures import BitmapMasks, DetDataSample
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.structures import InstanceData, PixelData

_META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")
#: What a field of `gt_instances` is called in the pipeline.
_OBJECT_FIELDS = {
    "gt_bboxes": "bboxes",
    "gt_bboxes_labels": "labels",
    "gt_masks": "masks",
    "gt_keypoints": "keypoints",
    "gt_instances_ids": "instances_ids",
}


@TRANSFORMS.register_module()
class PackDetInputs(BaseTransform):
    """Return `inputs` (C, H, W), a tensor, and `data_samples`, a `DetDataSample` with truth and meta information.

    Objects with a `gt_ignore_flags` go to `ignored_instances`, the others to `gt_instances`; `proposals` and
    `gt_seg_map` and `gt_panoptic_seg`, where there are any, to fields of their own.

    Args:
        meta_keys: What the sample knows of the image, as far as the pipeline does.
    """

    def __init__(self, meta_keys: Sequence[str] = _META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample."""
        keys = (*self.meta_keys, "gt_frame")
        sample = DetDataSample(metainfo={key: results[key] for key in keys if key in results})
        objects = InstanceData()
        for key, name in _OBJECT_FIELDS.items():
            if results.get(key) is not None:
                objects.set_field(_as_field(key, results[key]), name)
        ignored = np.asarray(results.get("gt_ignore_flags", np.zeros(len(objects), bool)), bool)
        sample.gt_instances, sample.ignored_instances = objects[~ignored], objects[ignored]
        if "proposals" in results:
            boxes = torch.as_tensor(results["proposals"])
            scores = results.get("proposals_scores", np.zeros(len(boxes), np.float32))
            sample.proposals = InstanceData(bboxes=boxes, scores=torch.as_tensor(scores))
        if results.get("gt_seg_map") is not None:
            seg_map = torch.from_numpy(results["gt_seg_map"][None].astype(np.int64))
            known = {"ignore_index": results["ignore_index"]} if "ignore_index" in results else None
            sample.gt_sem_seg = PixelData(metainfo=known, sem_seg=seg_map)
        if results.get("gt_panoptic_seg") is not None:
            sample.gt_panoptic_seg = PixelData(pan_seg=torch.from_numpy(results["gt_panoptic_seg"][None]))
        packed: dict[str, Any] = {"data_samples": sample}
        if "img" in results:
            packed = {"inputs": image_to_tensor(results["img"]), **packed}
        return packed


def _as_field(key: str, value: Any) -> Any:
    """Return arrays as tensors, and an array of masks (N, H, W) in its container."""
    if not isinstance(value, np.ndarray):
        return value
    return BitmapMasks(value, *value.shape[1:]) if key == "gt_masks" else torch.from_numpy(value)

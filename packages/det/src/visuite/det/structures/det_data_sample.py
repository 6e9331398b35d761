"""What a detector learns from and says about one image."""

from __future__ import annotations

from typing import Any

from visuite.engine.structures import BaseDataElement, InstanceData, PixelData


def _typed(name: str, kind: type[BaseDataElement]) -> Any:
    """Return the property of a data field that holds nothing but one kind of element."""
    stored = f"_{name}"

    def read(sample: BaseDataElement) -> Any:
        return getattr(sample, stored)

    def write(sample: BaseDataElement, value: Any) -> None:
        sample.set_field(value, stored, dtype=kind)

    def remove(sample: BaseDataElement) -> None:
        delattr(sample, stored)

    return property(read, write, remove)


class DetDataSample(BaseDataElement):
    """One image's truth and predictions.

    Fields of N objects (`InstanceData`):
        gt_instances: bboxes (N, 4) xyxy in pixels, labels (N,) long; perhaps masks and keypoints (N, K, 3).
        ignored_instances: The same for objects that are neither to be found nor to be taken for background: crowds.
        pred_instances: bboxes (N, 4), labels (N,), scores (N,); perhaps masks (N, H, W) bool.
        proposals: bboxes (N, 4), scores (N,).

    Fields of maps (`PixelData`), each with `sem_seg` (1, H, W):
        gt_sem_seg, pred_sem_seg: The class of each pixel.
        gt_panoptic_seg, pred_panoptic_seg: The class and the number of the object of each pixel.

    Raises:
        TypeError: a field is set to another kind of element.
    """

    gt_instances = _typed("gt_instances", InstanceData)
    ignored_instances = _typed("ignored_instances", InstanceData)
    pred_instances = _typed("pred_instances", InstanceData)
    proposals = _typed("proposals", InstanceData)
    gt_sem_seg = _typed("gt_sem_seg", PixelData)
    pred_sem_seg = _typed("pred_sem_seg", PixelData)
    gt_panoptic_seg = _typed("gt_panoptic_seg", PixelData)
    pred_panoptic_seg = _typed("pred_panoptic_seg", PixelData)

"""What a detector learns from and says about one image."""

from __future__ import annotations

from visuite.engine.structures import BaseDataElement, InstanceData, PixelData, typed_field


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

    gt_instances = typed_field("gt_instances", InstanceData)
    ignored_instances = typed_field("ignored_instances", InstanceData)
    pred_instances = typed_field("pred_instances", InstanceData)
    proposals = typed_field("proposals", InstanceData)
    gt_sem_seg = typed_field("gt_sem_seg", PixelData)
    pred_sem_seg = typed_field("pred_sem_seg", PixelData)
    gt_panoptic_seg = typed_field("gt_panoptic_seg", PixelData)
    pred_panoptic_seg = typed_field("pred_panoptic_seg", PixelData)

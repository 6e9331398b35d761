"""How samples become a batch of two tensors, and samples again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from visuite.det.structures import DetDataSample, box_tensor, mask_array
from visuite.engine.structures import InstanceData, PixelData
from visuite.yolo.registry import FUNCTIONS

#: What objects may have besides, and what a batch hands on.
_MORE = ("keypoints", "keypoints_visible")


@FUNCTIONS.register_module()
def yolov5_collate(data_batch: Sequence[dict[str, Any]], use_ms_training: bool = False) -> dict[str, Any]:
    """Return a batch whose objects are one tensor. Ignored objects are left out.

    Args:
        data_batch: B samples as `PackDetInputs` makes them.
        use_ms_training: Images differ in size: `inputs` stays a list.

    Returns:
        inputs: (B, C, H, W), or a list of B images (C, h, w).
        data_samples: `bboxes_labels` (N, 6) float, the number of the image, the label, and x1, y1, x2, y2; `img_metas`,
            B dicts; `masks`, where there are any: (B, h, w), a map of 1 + the object's number in its image for each
            image, or (N, h, w) bool; `keypoints` (N, K, 3) likewise.

    Raises:
        ValueError: images differ in size, or only some samples have masks or keypoints.
    """
    images = [one["inputs"] for one in data_batch]
    samples = [one["data_samples"] for one in data_batch]
    if not use_ms_training and len({image.shape for image in images}) > 1:
        raise ValueError(
            f"images of a batch differ in size: {sorted({tuple(image.shape) for image in images})}. Give the pipeline "
            "one size (LetterResize), or set collate_fn=dict(type='yolov5_collate', use_ms_training=True)"
        )
    batch: dict[str, Any] = {
        "bboxes_labels": torch.cat([_rows(place, sample.gt_instances) for place, sample in enumerate(samples)]),
        "img_metas": [sample.metainfo for sample in samples],
    }
    objects = [sample.gt_instances for sample in samples]
    if any("gt_panoptic_seg" in sample for sample in samples):
        batch["masks"] = torch.cat([sample.gt_panoptic_seg.pan_seg for sample in samples])
    elif "masks" in objects[0]:
        batch["masks"] = torch.cat([torch.from_numpy(mask_array(one.masks)) for one in objects])
    for name in _MORE:
        if name in objects[0]:
            batch[name] = torch.cat([one.get(name) for one in objects])
    return {"inputs": images if use_ms_training else torch.stack(images), "data_samples": batch}


def _rows(place: int, objects: InstanceData) -> Tensor:
    """Return the rows (N, 6) of an image's objects."""
    boxes = box_tensor(objects.bboxes).float()
    rows = boxes.new_full((len(boxes), 6), float(place))
    rows[:, 1], rows[:, 2:] = objects.labels, boxes
    return rows


def samples_of(batch: Mapping[str, Any]) -> list[DetDataSample]:
    """Return the samples of a batch, one for each image, from the `data_samples` that `yolov5_collate` made of them."""
    rows, masks = batch["bboxes_labels"], batch.get("masks")
    samples = []
    for place, meta in enumerate(batch["img_metas"]):
        mine = rows[:, 0] == place
        fields = {name: batch[name][mine] for name in _MORE if name in batch}
        sample = DetDataSample(metainfo=dict(meta))
        if masks is not None and masks.dtype is torch.bool:
            fields["masks"] = masks[mine]
        elif masks is not None:
            sample.gt_panoptic_seg = PixelData(pan_seg=masks[place : place + 1])
        sample.gt_instances = InstanceData(bboxes=rows[mine, 2:], labels=rows[mine, 1].long(), **fields)
        samples.append(sample)
    return samples

"""The objects of a batch as one tensor, from whichever form the samples come in.

Shapes: B images, N objects of the batch, G of the image that has most, M regions that do not count, R of the image that
has most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from visuite.det.structures import DetDataSample, mask_array, unpack_gt_instances
from visuite.engine.structures import InstanceData
from visuite.yolo.assign.batch import padded

#: A list of samples, or what `yolov5_collate` makes of it: `bboxes_labels` (N, 6), `img_metas` and perhaps `masks`.
Samples = Sequence[DetDataSample] | Mapping[str, Any]


@dataclass(frozen=True)
class BatchTruth:
    """The objects of a batch; a row of an image with fewer than G objects is filled up with what is not valid.

    Attributes:
        labels: (B, G), 0 where not valid.
        boxes: (B, G, 4), `xyxy` in pixels of the input, 0 where not valid.
        valid: (B, G), whether there is an object.
        rows: (N, 6), the same objects one after the other: image, label, box.
        ignored: (B, R, 4), regions that do not count, boxes of no size where there are fewer than R.
        metas: The meta information of each image.
        masks: None unless they were asked for and there are any; those of the objects (N, h, w) bool, or for each image
            a map (B, h, w) of whole numbers: 0, or 1 + the object's number in its image.
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    valid: torch.Tensor
    rows: torch.Tensor
    ignored: torch.Tensor
    metas: Sequence[Mapping[str, Any]]
    masks: torch.Tensor | None = None

    @property
    def numbers(self) -> torch.Tensor:
        """The number of each object in its image, (N,)."""
        counts = self.valid.sum(dim=1)
        first = (counts.cumsum(0) - counts)[self.rows[:, 0].long()]
        return torch.arange(len(self.rows), device=self.rows.device) - first

    @property
    def instances(self) -> list[InstanceData]:
        """The objects of each image by themselves, as `visuite.det` takes them."""
        each = zip(self.boxes, self.labels, self.valid, strict=True)
        return [InstanceData(bboxes=boxes[valid], labels=labels[valid]) for boxes, labels, valid in each]


def box_rows(boxes_of_images: Sequence[InstanceData], device: torch.device) -> torch.Tensor:
    """Return image and box of each instance of each image, one after the other: (N, 5)."""
    rows = [torch.zeros(0, 5, device=device)]
    for index, one in enumerate(boxes_of_images):
        boxes = torch.as_tensor(one.bboxes, dtype=torch.float32, device=device)
        rows.append(torch.cat([boxes.new_full((len(boxes), 1), index), boxes], dim=1))
    return torch.cat(rows)


def mask_rows(samples: Samples, order: torch.Tensor) -> torch.Tensor | None:
    """Return the masks (N, h, w) of a batch, its objects being put in order (N,), or its maps (B, h, w), or None."""
    if not isinstance(samples, Mapping):
        if any("gt_panoptic_seg" in one for one in samples):
            return torch.cat([one.gt_panoptic_seg.pan_seg for one in samples]).to(order.device)
        if not all("masks" in one.gt_instances for one in samples):
            return None
        return torch.cat([torch.from_numpy(mask_array(one.gt_instances.masks)) for one in samples]).to(order.device)
    masks = samples.get("masks")
    return masks if masks is None or masks.dtype is not torch.bool else masks[order]


def batch_truth(samples: Samples, device: torch.device, *, with_masks: bool = False) -> BatchTruth:
    """Return the objects of a batch on a device.

    Raises:
        ValueError: samples without `gt_instances`.
    """
    metas: Sequence[Mapping[str, Any]]
    ignored = torch.zeros(0, 5, device=device)
    if isinstance(samples, Mapping):
        rows, metas = samples["bboxes_labels"].to(device, torch.float32), samples["img_metas"]
    else:
        objects, regions, metas = unpack_gt_instances(samples)
        boxes = box_rows(objects, device)
        labels = torch.cat([boxes.new_zeros(0), *(one.labels.to(boxes) for one in objects)])
        rows = torch.cat([boxes[:, :1], labels[:, None], boxes[:, 1:]], dim=1)
        ignored = ignored if regions is None else box_rows(regions, device)
    order = rows[:, 0].argsort(stable=True)
    rows, masks = rows[order], mask_rows(samples, order) if with_masks else None
    filled, valid = padded(rows[:, 0].long(), rows[:, 1:], len(metas))
    outside, _ = padded(ignored[:, 0].long(), ignored[:, 1:], len(metas))
    return BatchTruth(filled[..., 0].long(), filled[..., 1:], valid, rows, outside, metas, masks)

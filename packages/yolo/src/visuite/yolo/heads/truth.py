"""The objects of a batch as one tensor, from whichever form the samples come in.

Shapes: B images, N objects of the batch, G of the image that has most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from visuite.det.structures import DetDataSample, unpack_gt_instances

#: A list of samples, or what `yolov5_collate` makes of it: `bboxes_labels` (N, 6) and `img_metas`.
Samples = Sequence[DetDataSample] | Mapping[str, Any]


@dataclass(frozen=True)
class BatchTruth:
    """The objects of a batch; a row of an image with fewer than G objects is filled up with what is not valid.

    Attributes:
        labels: (B, G), 0 where not valid.
        boxes: (B, G, 4), `xyxy` in pixels of the input, 0 where not valid.
        valid: (B, G), whether there is an object.
        rows: (N, 6), the same objects one after the other: image, label, box.
        metas: The meta information of each image.
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    valid: torch.Tensor
    rows: torch.Tensor
    metas: Sequence[Mapping[str, Any]]


def object_rows(samples: Samples, device: torch.device) -> tuple[torch.Tensor, Sequence[Mapping[str, Any]]]:
    """Return the objects (N, 6), image, label, box, and the meta information of the images."""
    if isinstance(samples, Mapping):
        return samples["bboxes_labels"].to(device, torch.float32), samples["img_metas"]
    objects, _, metas = unpack_gt_instances(samples)
    rows = [torch.zeros(0, 6, device=device)]
    for index, one in enumerate(objects):
        boxes = torch.as_tensor(one.bboxes, dtype=torch.float32, device=device)
        number = boxes.new_full((len(boxes), 1), index)
        rows.append(torch.cat([number, one.labels.to(boxes)[:, None], boxes], dim=1))
    return torch.cat(rows), metas


def batch_truth(samples: Samples, device: torch.device) -> BatchTruth:
    """Return the objects of a batch on a device.

    Raises:
        ValueError: samples without `gt_instances`.
    """
    rows, metas = object_rows(samples, device)
    image = rows[:, 0].long()
    counts = torch.bincount(image, minlength=len(metas))
    order = image.argsort(stable=True)
    rows, image = rows[order], image[order]
    place = torch.arange(len(rows), device=device) - (counts.cumsum(0) - counts)[image]
    most = int(counts.max()) if len(rows) else 0
    padded = rows.new_zeros(len(metas), most, 5)
    padded[image, place] = rows[:, 1:]
    valid = torch.arange(most, device=device) < counts[:, None]
    return BatchTruth(padded[..., 0].long(), padded[..., 1:], valid, rows, metas)

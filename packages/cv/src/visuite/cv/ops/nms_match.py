"""Which boxes a suppression would have dropped in favour of which."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
import torchvision

from visuite.cv.ops.bbox_overlaps import bbox_overlaps
from visuite.cv.ops.boxes import full_precision

Array = TypeVar("Array", torch.Tensor, np.ndarray)


def nms_match(dets: Array, iou_threshold: float) -> list[Array]:
    """Group boxes by the one that suppresses them.

    Args:
        dets: (N, 5), `xyxy` and score; tensor or array.
        iou_threshold: IoU above which the lower box belongs to the higher one's group.

    Returns:
        Indices of each group, its own best first and then by falling score; groups stand in the order of their best.

    Raises:
        ValueError: `dets` is not (N, 5).
    """
    if isinstance(dets, np.ndarray):
        return [group.numpy() for group in nms_match(torch.from_numpy(dets), iou_threshold)]
    if dets.ndim != 2 or dets.shape[1] != 5:
        raise ValueError(f"dets have shape (N, 5), not {tuple(dets.shape)}")
    if len(dets) == 0:
        return []
    boxes, scores = full_precision(dets.detach()).split((4, 1), dim=1)
    order = scores[:, 0].argsort(descending=True, stable=True)
    boxes = boxes[order]
    falling = torch.arange(len(boxes), 0, -1, device=boxes.device).to(boxes)  # so that ties fall as in `order`
    best = torchvision.ops.nms(boxes, falling, iou_threshold)
    covers = bbox_overlaps(boxes[best], boxes, eps=torch.finfo(boxes.dtype).tiny) > iou_threshold
    covers[torch.arange(len(best), device=boxes.device), best] = True  # a box of no area is its own best too
    covers &= best[:, None] <= torch.arange(len(boxes), device=boxes.device)
    group = covers.int().argmax(dim=0)  # the first that covers a box took it
    members = group.argsort(stable=True)
    return list(order[members].split(group.bincount(minlength=len(best)).tolist()))

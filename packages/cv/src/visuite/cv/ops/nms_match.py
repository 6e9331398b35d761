"""Which boxes a suppression drops in favour of which. Shapes: N boxes in, K groups."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

from visuite.cv.ops.bbox_overlaps import bbox_overlaps
from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.kernels import kernels

Array = TypeVar("Array", torch.Tensor, np.ndarray)


def nms_match(dets: Array, iou_threshold: float) -> list[Array]:
    """Group boxes by the one that suppresses them.

    Args:
        dets: (N, 5), `xyxy` and score; tensor or array.
        iou_threshold: IoU above which the lower box belongs to the higher one's group.

    Returns:
        Indices of each group, its best first and then by falling score; groups stand in the order of their best.

    Raises:
        ValueError: `dets` is not (N, 5).
    """
    if isinstance(dets, np.ndarray):
        return [group.numpy() for group in nms_match(torch.from_numpy(dets), iou_threshold)]
    if dets.ndim != 2 or dets.shape[1] != 5:
        raise ValueError(f"dets have shape (N, 5), not {tuple(dets.shape)}")
    if len(dets) == 0:
        return []
    order = dets[:, 4].argsort(descending=True, stable=True)
    boxes = full_precision(dets.detach())[order, :4]
    falling = torch.arange(len(boxes), 0, -1, device=boxes.device).to(boxes)  # ties fall as they do in `order`
    best = kernels().nms(boxes, falling, iou_threshold)
    group = _first_above(bbox_overlaps(boxes[best], boxes), iou_threshold)
    group[best] = torch.arange(len(best), device=boxes.device)
    members = group.argsort(stable=True)
    return list(order[members].split(group.bincount(minlength=len(best)).tolist()))


def _first_above(iou: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return for each column of (K, N) the first row above the threshold; where rounding hides it, the highest."""
    above = iou > threshold
    return torch.where(above.any(dim=0), above.int().argmax(dim=0), iou.argmax(dim=0))

"""Non-maximum suppression: of boxes that overlap, the one of the highest score stays.

Shapes: N boxes in, K kept. Boxes are `xyxy`; `dets` are boxes with their score as fifth column.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.kernels import kernels

Array = TypeVar("Array", torch.Tensor, np.ndarray)


def nms(
    boxes: Array,
    scores: Array,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
    max_num: int = -1,
) -> tuple[Array, Array]:
    """Drop each box that overlaps one of higher score by more than the threshold.

    Args:
        boxes: (N, 4); tensor or array.
        scores: (N,).
        iou_threshold: IoU above which the lower box goes.
        offset: 1 where the second corner is the last pixel inside, so that a box is x2 - x1 + 1 wide.
        score_threshold: If positive, only scores above it take part.
        max_num: If positive, how many to keep at most.

    Returns:
        dets (K, 5) by falling score, and their indices (K,) in the input; of the kind that came in.

    Raises:
        ValueError: shapes that are not (N, 4) and (N,), or an offset other than 0 and 1.
    """
    if isinstance(boxes, np.ndarray):
        tensors = torch.from_numpy(boxes), torch.as_tensor(scores)
        dets, kept = nms(*tensors, iou_threshold, offset, score_threshold, max_num)
        return dets.numpy(), kept.numpy()
    check_scored_boxes(boxes, scores)
    corners = pixel_edges(boxes, offset)
    ranks = full_precision(scores.detach()).to(corners.dtype)
    if score_threshold > 0:
        candidates = torch.where(ranks > score_threshold)[0]
        kept = candidates[kernels().nms(corners[candidates], ranks[candidates], iou_threshold)]
    else:
        kept = kernels().nms(corners, ranks, iou_threshold)
    if max_num > 0:
        kept = kept[:max_num]
    return join_scores(boxes[kept], scores[kept]), kept


def check_scored_boxes(boxes: torch.Tensor, scores: torch.Tensor) -> None:
    """Raise ValueError unless boxes are (N, 4) and scores (N,)."""
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        shapes = f"{tuple(boxes.shape)} and {tuple(scores.shape)}"
        raise ValueError(f"boxes and scores have shapes (N, 4) and (N,), not {shapes}")


def pixel_edges(boxes: torch.Tensor, offset: int) -> torch.Tensor:
    """Return boxes (N, 4) without gradient, in float32 at least, up to the far edge of their last pixel.

    Raises:
        ValueError: `offset` is neither 0 nor 1.
    """
    if offset not in (0, 1):
        raise ValueError(f"offset is 0 or 1, not {offset}")
    boxes = full_precision(boxes.detach())
    return boxes + boxes.new_tensor([0, 0, 1, 1]) if offset else boxes


def join_scores(boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Write scores (K,) beside boxes (K, 4): dets (K, 5), in the wider of the two types."""
    return torch.cat((boxes, scores[:, None]), dim=1)

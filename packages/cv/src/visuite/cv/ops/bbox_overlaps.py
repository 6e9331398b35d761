"""How much boxes overlap: IoU, IoF, GIoU, DIoU and CIoU.

Shapes: M and N boxes; * batch dimensions. Boxes are `xyxy`.
"""

from __future__ import annotations

import math

import torch

from visuite.cv.ops.boxes import box_area, full_precision

OVERLAP_MODES = ("iou", "iof", "giou", "diou", "ciou")


def bbox_overlaps(
    bboxes1: torch.Tensor,
    bboxes2: torch.Tensor,
    mode: str = "iou",
    is_aligned: bool = False,
    eps: float = 1e-6,
    *,
    chunk: int | None = None,
) -> torch.Tensor:
    """Compare each box of one set with each of another, or, aligned, with the one in the same place.

    Half-precision boxes are compared in float32, and the result is float32.

    Args:
        bboxes1: (*, M, 4).
        bboxes2: (*, N, 4), the batch dimensions being the same; with `is_aligned`, N = M.
        mode: `iou`; `iof`, which divides by the area of the first box; `giou` (arXiv:1902.09630); `diou`
            (arXiv:1911.08287); `ciou` (arXiv:2005.03572), whose trade-off factor is a constant to the gradient.
        is_aligned: Compare box i with box i.
        eps: The least area (and squared diagonal) that is divided by.
        chunk: Boxes of the first set compared at a time. Memory for intermediate results is a few times `chunk` x N.

    Returns:
        (*, M, N), or (*, M) with `is_aligned`.

    Raises:
        ValueError: an unknown mode, or shapes that do not go together.
    """
    _check(bboxes1, bboxes2, mode, is_aligned)
    a, b = full_precision(bboxes1), full_precision(bboxes2)
    if is_aligned:
        return _compare(a, b, mode, eps)
    a, b = a.unsqueeze(-2), b.unsqueeze(-3)
    if chunk is None or a.shape[-3] <= chunk:
        return _compare(a, b, mode, eps)
    return torch.cat([_compare(rows, b, mode, eps) for rows in a.split(chunk, dim=-3)], dim=-2)


def _check(a: torch.Tensor, b: torch.Tensor, mode: str, is_aligned: bool) -> None:
    if mode not in OVERLAP_MODES:
        raise ValueError(f"overlap mode {mode!r} is none of {OVERLAP_MODES}")
    for boxes in (a, b):
        if boxes.ndim < 2 or boxes.shape[-1] != 4:
            raise ValueError(f"boxes have shape (..., N, 4), not {tuple(boxes.shape)}")
    if a.shape[:-2] != b.shape[:-2]:
        raise ValueError(f"batch dimensions differ: {tuple(a.shape)} and {tuple(b.shape)}")
    if is_aligned and a.shape != b.shape:
        raise ValueError(f"aligned boxes are as many on both sides, not {a.shape[-2]} and {b.shape[-2]}")


def _compare(a: torch.Tensor, b: torch.Tensor, mode: str, eps: float) -> torch.Tensor:
    """Return the overlaps of boxes (..., 4) whose other dimensions broadcast."""
    width = torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])
    height = torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])
    shared = width.clamp(min=0) * height.clamp(min=0)
    if mode == "iof":
        return shared / box_area(a).clamp(min=eps)
    union = (box_area(a) + box_area(b) - shared).clamp(min=eps)
    iou = shared / union
    if mode == "iou":
        return iou
    hull_width = torch.maximum(a[..., 2], b[..., 2]) - torch.minimum(a[..., 0], b[..., 0])
    hull_height = torch.maximum(a[..., 3], b[..., 3]) - torch.minimum(a[..., 1], b[..., 1])
    if mode == "giou":
        hull = (hull_width * hull_height).clamp(min=eps)
        return iou - (hull - union) / hull
    distance = _centre_distance(a, b) / (hull_width**2 + hull_height**2).clamp(min=eps)
    return iou - distance if mode == "diou" else iou - distance - _aspect_penalty(a, b, iou, eps)


def _centre_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared distance between the centres."""
    across = (a[..., 0] + a[..., 2] - b[..., 0] - b[..., 2]) / 2
    down = (a[..., 1] + a[..., 3] - b[..., 1] - b[..., 3]) / 2
    return across**2 + down**2


def _aspect_penalty(a: torch.Tensor, b: torch.Tensor, iou: torch.Tensor, eps: float) -> torch.Tensor:
    """How far the aspect ratios differ; counts only where the boxes overlap by half, as in CIoU's second paper."""
    difference = _aspect_angle(b, eps) - _aspect_angle(a, eps)
    v = (4 / math.pi**2) * difference**2
    with torch.no_grad():
        alpha = torch.where(iou > 0.5, v / (1 - iou + v).clamp(min=eps), 0)
    return alpha * v


def _aspect_angle(boxes: torch.Tensor, eps: float) -> torch.Tensor:
    return torch.atan((boxes[..., 2] - boxes[..., 0]) / (boxes[..., 3] - boxes[..., 1] + eps))

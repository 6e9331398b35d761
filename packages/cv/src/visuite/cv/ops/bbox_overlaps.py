"""How much boxes overlap: IoU, IoF, GIoU, DIoU, CIoU and SIoU.

Shapes: M and N boxes; * batch dimensions. Boxes are `xyxy`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from visuite.cv.ops.boxes import full_precision

OVERLAP_MODES = ("iou", "iof", "giou", "diou", "ciou", "siou")


def bbox_overlaps(
    bboxes1: torch.Tensor,
    bboxes2: torch.Tensor,
    mode: str = "iou",
    is_aligned: bool = False,
    eps: float = 1e-6,
    *,
    chunk: int | None = None,
    aspect_always: bool = False,
) -> torch.Tensor:
    """Compare each box of one set with each of another, or, aligned, with the one in the same place.

    Half-precision boxes are compared in float32, and the result is float32.

    Args:
        bboxes1: (*, M, 4).
        bboxes2: (*, N, 4), the batch dimensions being the same; with `is_aligned`, N = M.
        mode: `iou`; `iof`, which divides by the area of the first box; `giou` (arXiv:1902.09630); `diou`
            (arXiv:1911.08287); `ciou` (arXiv:2005.03572), whose trade-off factor is a constant to the gradient; `siou`
            (arXiv:2205.12740).
        is_aligned: Compare box i with box i.
        eps: The least area (and squared diagonal) that is divided by.
        chunk: Boxes of the first set compared at a time. Memory for intermediate results is a few times `chunk` x N.
        aspect_always: Let the aspect term of `ciou` count for all boxes, as in its first paper (arXiv:1911.08287), not
            only for those that overlap by half.

    Returns:
        (*, M, N), or (*, M) with `is_aligned`.

    Raises:
        ValueError: an unknown mode, or shapes that do not go together.
    """
    _check(bboxes1, bboxes2, mode, is_aligned)
    a, b = _sides(bboxes1, None if is_aligned else -1), _sides(bboxes2, None if is_aligned else -2)
    rows = a.x1.shape[-2] if not is_aligned else 0
    if chunk is None or rows <= chunk:
        return _compare(a, b, mode, eps, aspect_always)
    parts = zip(*(side.split(chunk, dim=-2) for side in a), strict=True)
    return torch.cat([_compare(_Sides(*part), b, mode, eps, aspect_always) for part in parts], dim=-2)


class _Sides(NamedTuple):
    """The edges of boxes, all of one shape; those of the two sets broadcast against each other."""

    x1: torch.Tensor
    y1: torch.Tensor
    x2: torch.Tensor
    y2: torch.Tensor

    @property
    def area(self) -> torch.Tensor:
        return (self.x2 - self.x1) * (self.y2 - self.y1)


def _sides(boxes: torch.Tensor, extra: int | None) -> _Sides:
    """Return the edges of boxes, with an extra dimension at the given place; packed, since every pair reads them."""
    edges = full_precision(boxes).movedim(-1, 0).contiguous()
    return _Sides(*(edges if extra is None else edges.unsqueeze(extra)).unbind(0))


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


def _compare(a: _Sides, b: _Sides, mode: str, eps: float, aspect_always: bool) -> torch.Tensor:
    """Return the overlaps of boxes whose edges broadcast."""
    width = torch.minimum(a.x2, b.x2) - torch.maximum(a.x1, b.x1)
    height = torch.minimum(a.y2, b.y2) - torch.maximum(a.y1, b.y1)
    shared = width.clamp(min=0) * height.clamp(min=0)
    if mode == "iof":
        return shared / a.area.clamp(min=eps)
    union = (a.area + b.area - shared).clamp(min=eps)
    iou = shared / union
    if mode == "iou":
        return iou
    hull_width = torch.maximum(a.x2, b.x2) - torch.minimum(a.x1, b.x1)
    hull_height = torch.maximum(a.y2, b.y2) - torch.minimum(a.y1, b.y1)
    if mode == "giou":
        return iou - 1 + union / (hull_width * hull_height).clamp(min=eps)
    across = (a.x1 + a.x2) / 2 - (b.x1 + b.x2) / 2
    down = (a.y1 + a.y2) / 2 - (b.y1 + b.y2) / 2
    if mode == "siou":
        return iou - _angle_and_distance(across, down, hull_width, hull_height, eps) / 2 - _shape_penalty(a, b, eps) / 2
    distance = (across**2 + down**2) / (hull_width**2 + hull_height**2).clamp(min=eps)
    return iou - distance if mode == "diou" else iou - distance - _aspect_penalty(a, b, iou, eps, aspect_always)


def _angle_and_distance(
    across: torch.Tensor, down: torch.Tensor, hull_width: torch.Tensor, hull_height: torch.Tensor, eps: float
) -> torch.Tensor:
    """How far centres are apart in parts of the hull, 0 to 2; more so along an axis than diagonally (SIoU)."""
    angle = 2 * across.abs() * down.abs() / (across**2 + down**2).clamp(min=eps)  # sin 2a, for an angle a to an axis
    width, height = hull_width.clamp(min=eps), hull_height.clamp(min=eps)
    return 2 - torch.exp((angle - 2) * (across / width) ** 2) - torch.exp((angle - 2) * (down / height) ** 2)


def _shape_penalty(a: _Sides, b: _Sides, eps: float) -> torch.Tensor:
    """How far widths and heights differ, 0 to 2 (SIoU)."""
    return _side_penalty(a.x2 - a.x1, b.x2 - b.x1, eps) + _side_penalty(a.y2 - a.y1, b.y2 - b.y1, eps)


def _side_penalty(a: torch.Tensor, b: torch.Tensor, eps: float) -> torch.Tensor:
    return (1 - torch.exp(-(a - b).abs() / torch.maximum(a, b).clamp(min=eps))) ** 4


def _aspect_penalty(a: _Sides, b: _Sides, iou: torch.Tensor, eps: float, always: bool) -> torch.Tensor:
    """How far the aspect ratios differ; as in CIoU's second paper it counts where the boxes overlap by half."""
    v = (4 / math.pi**2) * (_aspect_angle(b, eps) - _aspect_angle(a, eps)) ** 2
    with torch.no_grad():
        alpha = v / (1 - iou + v).clamp(min=eps)
        if not always:
            alpha = torch.where(iou > 0.5, alpha, 0)
    return alpha * v


def _aspect_angle(boxes: _Sides, eps: float) -> torch.Tensor:
    return torch.atan((boxes.x2 - boxes.x1) / (boxes.y2 - boxes.y1 + eps))

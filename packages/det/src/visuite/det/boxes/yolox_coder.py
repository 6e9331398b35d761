"""Boxes as YOLOX learns them. Ge et al., arXiv:2107.08430.

Shapes: * any of (N) and (B, N), N places of B images. Boxes are `xyxy` in pixels; codes are the centre's offset from
a place and the logarithm of the size, both in strides.
"""

from __future__ import annotations

import torch

from visuite.cv.ops import bbox_xyxy_to_cxcywh, full_precision


def bbox2yolox(
    points: torch.Tensor, boxes: torch.Tensor, strides: torch.Tensor | float, eps: float = 1e-8
) -> torch.Tensor:
    """Return the codes (*, 4) that lead from places to boxes.

    Args:
        points: (*, 2).
        boxes: (*, 4).
        strides: A number, (*, 1) or (*, 2).
        eps: Added to sizes in strides before their logarithm.
    """
    centre, size = bbox_xyxy_to_cxcywh(full_precision(boxes)).split(2, dim=-1)
    return torch.cat([(centre - points) / strides, (size / strides + eps).log()], dim=-1)


def yolox2bbox(points: torch.Tensor, codes: torch.Tensor, strides: torch.Tensor | float) -> torch.Tensor:
    """Return the boxes (*, 4) of codes.

    Args:
        points: (*, 2).
        codes: (*, 4).
        strides: A number, (*, 1) or (*, 2).
    """
    offset, size = full_precision(codes).split(2, dim=-1)
    centre, half = points + offset * strides, size.exp() * strides / 2
    return torch.cat([centre - half, centre + half], dim=-1)

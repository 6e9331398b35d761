"""Boxes as YOLOv3 learns them. Redmon and Farhadi, arXiv:1804.02767.

Shapes: * any of (N) and (B, N), N boxes of B images. Boxes are `xyxy`; codes are the centre's place in its cell, 0 to
1, and the logarithm of the size over the anchor's.
"""

from __future__ import annotations

import torch

from visuite.cv.ops import bbox_xyxy_to_cxcywh, full_precision
from visuite.det.boxes.coder import BBoxCoder
from visuite.det.registry import TASK_UTILS


@TASK_UTILS.register_module()
class YOLOBBoxCoder(BBoxCoder):
    """The centre within its cell, and the growth of the anchor.

    Args:
        eps: How near places come to 0 and 1; also the least ratio of sizes.
    """

    def __init__(self, eps: float = 1e-6) -> None:
        self.eps = eps

    def encode(self, bboxes: torch.Tensor, gt_bboxes: torch.Tensor, stride: torch.Tensor | float) -> torch.Tensor:
        """Return the codes (*, 4) that lead from anchors to objects.

        Args:
            bboxes: (*, 4), anchors in the middle of their cells.
            gt_bboxes: (*, 4).
            stride: Of the anchors' levels, a number or (*).
        """
        at, size = bbox_xyxy_to_cxcywh(full_precision(bboxes)).split(2, dim=-1)
        goal, goal_size = bbox_xyxy_to_cxcywh(full_precision(gt_bboxes)).split(2, dim=-1)
        place = (goal - at) / stride_column(stride) + 0.5
        growth = torch.log((goal_size / size).clamp(min=self.eps))
        return torch.cat((place.clamp(self.eps, 1 - self.eps), growth), dim=-1)

    def decode(self, bboxes: torch.Tensor, pred_bboxes: torch.Tensor, stride: torch.Tensor | float) -> torch.Tensor:
        """Return the boxes (*, 4) of codes.

        Args:
            bboxes: (*, 4), anchors in the middle of their cells.
            pred_bboxes: (*, 4), places after the sigmoid.
            stride: Of the anchors' levels, a number or (*).
        """
        at, size = bbox_xyxy_to_cxcywh(full_precision(bboxes)).split(2, dim=-1)
        place, growth = full_precision(pred_bboxes).split(2, dim=-1)
        centre, half = at + (place - 0.5) * stride_column(stride), size / 2 * growth.exp()
        return torch.cat((centre - half, centre + half), dim=-1)


def stride_column(stride: torch.Tensor | float) -> torch.Tensor | float:
    """Return strides, a number or (*), such that they go with the coordinates (*, 2) of boxes."""
    return stride.unsqueeze(-1) if isinstance(stride, torch.Tensor) and stride.ndim else stride

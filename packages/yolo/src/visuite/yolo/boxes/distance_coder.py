"""Boxes as the distances from a point to their four edges, in strides. Tian et al., FCOS, arXiv:1904.01355.

Shapes: * any of (N) and (B, N), N points of B images. Boxes are `xyxy`; distances stand in the order left, top, right,
bottom.
"""

from __future__ import annotations

import torch

from visuite.det.boxes.coder import BBoxCoder, MaxShape
from visuite.det.boxes.distance_coder import bbox2distance, distance2bbox
from visuite.det.boxes.yolo_coder import stride_column
from visuite.yolo.registry import TASK_UTILS


@TASK_UTILS.register_module()
class DistancePointBBoxCoder(BBoxCoder):
    """Distances from points to edges, in strides.

    Args:
        clip_border: End decoded boxes at the image's border, where it is given.
    """

    def __init__(self, clip_border: bool = True) -> None:
        self.clip_border = clip_border

    def encode(
        self, points: torch.Tensor, gt_bboxes: torch.Tensor, max_dis: float | None = 16.0, eps: float = 0.01
    ) -> torch.Tensor:
        """Return the distances (*, 4) from points (*, 2) to the edges of boxes (*, 4), both in strides already.

        Args:
            points: (*, 2).
            gt_bboxes: (*, 4).
            max_dis: If given, distances are bound to 0 and to `max_dis` less `eps`.
            eps: How far below `max_dis` the bound is.
        """
        return bbox2distance(points, gt_bboxes, max_dis, eps)

    def decode(
        self,
        points: torch.Tensor,
        pred_bboxes: torch.Tensor,
        stride: torch.Tensor | float,
        max_shape: MaxShape | None = None,
    ) -> torch.Tensor:
        """Return the boxes (*, 4) in pixels.

        Args:
            points: (*, 2) in pixels.
            pred_bboxes: Distances (*, 4) in strides.
            stride: A number or (*).
            max_shape: (h, w) of the image, or one for each of B images.
        """
        distances = pred_bboxes * stride_column(stride)
        return distance2bbox(points, distances, max_shape if self.clip_border else None)

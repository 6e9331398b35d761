"""Boxes as the distances from a point inside to their four edges. Tian et al., FCOS, arXiv:1904.01355.

Shapes: N points, B images; * any of (N) and (B, N). Boxes are `xyxy`; distances stand in the order left, top,
right, bottom.
"""

from __future__ import annotations

import torch

from visuite.cv.ops import full_precision
from visuite.det.boxes.coder import BBoxCoder, MaxShape, clip_boxes
from visuite.det.registry import TASK_UTILS


def distance2bbox(points: torch.Tensor, distance: torch.Tensor, max_shape: MaxShape | None = None) -> torch.Tensor:
    """Return the boxes (*, 4) at given distances from points.

    Args:
        points: (N, 2) or (B, N, 2); further columns do not matter.
        distance: (*, 4).
        max_shape: (h, w) of the image, or one for each of B images: boxes end at its border.
    """
    at, distance = full_precision(points)[..., :2], full_precision(distance)
    boxes = torch.cat((at - distance[..., :2], at + distance[..., 2:]), dim=-1)
    return boxes if max_shape is None else clip_boxes(boxes, max_shape)


def bbox2distance(
    points: torch.Tensor, bbox: torch.Tensor, max_dis: float | None = None, eps: float = 0.1
) -> torch.Tensor:
    """Return the distances (*, 4) from points to the edges of boxes, negative beyond an edge.

    Args:
        points: (N, 2) or (B, N, 2); further columns do not matter.
        bbox: (*, 4).
        max_dis: If given, distances are bound to 0 and to `max_dis` less `eps`.
        eps: How far below `max_dis` the bound is.
    """
    at, bbox = full_precision(points)[..., :2], full_precision(bbox)
    distance = torch.cat((at - bbox[..., :2], bbox[..., 2:] - at), dim=-1)
    return distance if max_dis is None else distance.clamp(0, max_dis - eps)


@TASK_UTILS.register_module()
class DistancePointBBoxCoder(BBoxCoder):
    """Distances from points to edges, in pixels.

    Args:
        clip_border: End decoded boxes at the image's border.
    """

    def __init__(self, clip_border: bool | None = True) -> None:
        self.clip_border = clip_border

    def encode(
        self, points: torch.Tensor, gt_bboxes: torch.Tensor, max_dis: float | None = None, eps: float = 0.1
    ) -> torch.Tensor:
        """Return the distances (*, 4) from points (*, 2) to the edges of objects (*, 4); see `bbox2distance`."""
        return bbox2distance(points, gt_bboxes, max_dis, eps)

    def decode(
        self, points: torch.Tensor, pred_bboxes: torch.Tensor, max_shape: MaxShape | None = None
    ) -> torch.Tensor:
        """Return the boxes (*, 4) of distances (*, 4) from points (*, 2)."""
        return distance2bbox(points, pred_bboxes, max_shape if self.clip_border else None)

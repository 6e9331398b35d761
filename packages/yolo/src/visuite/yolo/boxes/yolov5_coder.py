"""Boxes as YOLOv5 and YOLOv7 learn them (Wang et al., YOLOv7, arXiv:2207.02696; Scaled-YOLOv4, arXiv:2011.08036).

Shapes: * any of (N) and (B, N), N anchors of B images. Boxes are `xyxy`; codes are sigmoids, 0 to 1: a centre lies up
to a stride from the middle of its cell along each axis, a size is up to 4 times the anchor's.
"""

from __future__ import annotations

import torch

from visuite.cv.ops import bbox_xyxy_to_cxcywh, full_precision
from visuite.det.boxes.coder import BBoxCoder, MaxShape, clip_boxes
from visuite.det.boxes.yolo_coder import stride_column
from visuite.yolo.registry import TASK_UTILS


@TASK_UTILS.register_module()
class YOLOv5BBoxCoder(BBoxCoder):
    """The centre around its cell, and the square root of the growth of the anchor."""

    def encode(self, bboxes: torch.Tensor, gt_bboxes: torch.Tensor, stride: torch.Tensor | float) -> torch.Tensor:
        """Return the codes (*, 4) that lead from anchors to objects; outside 0 to 1 for those out of an anchor's reach.

        Args:
            bboxes: (*, 4), anchors in the middle of their cells.
            gt_bboxes: (*, 4).
            stride: Of the anchors' levels, a number or (*).
        """
        at, size = bbox_xyxy_to_cxcywh(full_precision(bboxes)).split(2, dim=-1)
        goal, goal_size = bbox_xyxy_to_cxcywh(full_precision(gt_bboxes)).split(2, dim=-1)
        return torch.cat(((goal - at) / (2 * stride_column(stride)) + 0.5, (goal_size / size).sqrt() / 2), dim=-1)

    def decode(
        self,
        bboxes: torch.Tensor,
        pred_bboxes: torch.Tensor,
        stride: torch.Tensor | float,
        max_shape: MaxShape | None = None,
    ) -> torch.Tensor:
        """Return the boxes (*, 4) of codes.

        Args:
            bboxes: (*, 4), anchors in the middle of their cells.
            pred_bboxes: (*, 4), after the sigmoid.
            stride: Of the anchors' levels, a number or (*).
            max_shape: (h, w) of the image, or one for each of B images: boxes end at its border.
        """
        at, size = bbox_xyxy_to_cxcywh(full_precision(bboxes)).split(2, dim=-1)
        place, growth = full_precision(pred_bboxes).split(2, dim=-1)
        centre, half = at + (place - 0.5) * 2 * stride_column(stride), size * 2 * growth**2
        boxes = torch.cat((centre - half, centre + half), dim=-1)
        return boxes if max_shape is None else clip_boxes(boxes, max_shape)

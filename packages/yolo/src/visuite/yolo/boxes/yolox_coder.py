"""Boxes as YOLOX learns them. Ge et al., arXiv:2107.08430.

Shapes: * any of (N) and (B, N), N places of B images. Boxes are `xyxy`.
"""

from __future__ import annotations

import torch

from visuite.det.boxes.coder import BBoxCoder, MaxShape, clip_boxes
from visuite.det.boxes.yolo_coder import stride_column
from visuite.det.boxes.yolox_coder import bbox2yolox, yolox2bbox
from visuite.yolo.registry import TASK_UTILS


@TASK_UTILS.register_module()
class YOLOXBBoxCoder(BBoxCoder):
    """The centre's offset from a place and the logarithm of the size, in strides."""

    def encode(self, points: torch.Tensor, gt_bboxes: torch.Tensor, stride: torch.Tensor | float) -> torch.Tensor:
        """Return the codes (*, 4) that lead from places to objects.

        Args:
            points: (*, 2); further columns do not matter.
            gt_bboxes: (*, 4).
            stride: A number or (*).
        """
        return bbox2yolox(points[..., :2], gt_bboxes, stride_column(stride))

    def decode(
        self,
        points: torch.Tensor,
        pred_bboxes: torch.Tensor,
        stride: torch.Tensor | float,
        max_shape: MaxShape | None = None,
    ) -> torch.Tensor:
        """Return the boxes (*, 4) of codes.

        Args:
            points: (*, 2); further columns do not matter.
            pred_bboxes: (*, 4).
            stride: A number or (*).
            max_shape: (h, w) of the image, or one for each of B images: boxes end at its border.
        """
        boxes = yolox2bbox(points[..., :2], pred_bboxes, stride_column(stride))
        return boxes if max_shape is None else clip_boxes(boxes, max_shape)

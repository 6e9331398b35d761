"""Losses that YOLO's configs name, beside those of `visuite.cv`."""

from visuite.yolo.losses.iou_loss import IoULoss

__all__ = ["IoULoss"]

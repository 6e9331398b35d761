"""Metrics of segmentation."""

from visuite.seg.metrics.areas import count_pixels, rates
from visuite.seg.metrics.iou_metric import IoUMetric

__all__ = ["IoUMetric", "count_pixels", "rates"]

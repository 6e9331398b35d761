"""How good detections are."""

from visuite.det.metrics.coco import CocoMetric

__all__ = ["CocoMetric"]

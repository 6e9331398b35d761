"""How good detections are."""

from visuite.det.metrics.coco import CocoMetric
from visuite.det.metrics.lvis import LVISMetric
from visuite.det.metrics.voc import VOCMetric

__all__ = ["CocoMetric", "LVISMetric", "VOCMetric"]

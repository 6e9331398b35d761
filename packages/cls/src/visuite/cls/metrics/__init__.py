"""Metrics."""

from visuite.cls.metrics.accuracy import Accuracy
from visuite.cls.metrics.confusion_matrix import ConfusionMatrix
from visuite.cls.metrics.multi_label import (
    AveragePrecision,
    MultiLabelMetric,
    VOCAveragePrecision,
    VOCMultiLabelMetric,
)
from visuite.cls.metrics.single_label import SingleLabelMetric

__all__ = [
    "Accuracy",
    "AveragePrecision",
    "ConfusionMatrix",
    "MultiLabelMetric",
    "SingleLabelMetric",
    "VOCAveragePrecision",
    "VOCMultiLabelMetric",
]

"""Metrics."""

from visuite.cls.metrics.accuracy import Accuracy

__all__ = ["Accuracy"]

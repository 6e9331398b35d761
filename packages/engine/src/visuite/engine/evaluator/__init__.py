"""From predictions to metrics."""

from visuite.engine.evaluator.evaluator import Evaluator
from visuite.engine.evaluator.metric import BaseMetric, DumpResults
from visuite.engine.evaluator.select import get_metric_value

__all__ = ["BaseMetric", "DumpResults", "Evaluator", "get_metric_value"]

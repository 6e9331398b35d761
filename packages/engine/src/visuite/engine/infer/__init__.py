"""Predictions for pictures that are no data set: files, folders, arrays, videos, URLs."""

from visuite.engine.infer.inferencer import BaseInferencer, InferenceError
from visuite.engine.infer.inputs import Item, iter_items
from visuite.engine.infer.pipeline import InferencePipeline
from visuite.engine.registry import INFERENCERS

__all__ = ["INFERENCERS", "BaseInferencer", "InferenceError", "InferencePipeline", "Item", "iter_items"]

"""Layers that only detection has."""

from visuite.det.layers.transformer import Transformer, TransformerLayer, inverse_sigmoid, padding_masks

__all__ = ["Transformer", "TransformerLayer", "inverse_sigmoid", "padding_masks"]

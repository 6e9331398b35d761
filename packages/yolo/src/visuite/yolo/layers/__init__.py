"""Blocks that several backbones and necks of the YOLO family are made of."""

from visuite.yolo.layers.c2f import CSPLayerWithTwoConv
from visuite.yolo.layers.sizes import make_divisible, make_round

__all__ = ["CSPLayerWithTwoConv", "make_divisible", "make_round"]

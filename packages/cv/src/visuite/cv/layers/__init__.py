"""Layers, and the builders that turn their configs into modules."""

from visuite.cv.layers.activation import Clamp, HSigmoid, Swish, build_activation_layer
from visuite.cv.layers.conv import build_conv_layer, build_padding_layer
from visuite.cv.layers.conv_module import ConvModule
from visuite.cv.layers.drop import Dropout, DropPath, build_dropout, drop_path
from visuite.cv.layers.norm import SyncBatchNorm, build_norm_layer, is_norm, norm_abbreviation
from visuite.cv.layers.plugin import build_plugin_layer
from visuite.cv.layers.upsample import PixelShufflePack, build_upsample_layer

__all__ = [
    "Clamp",
    "ConvModule",
    "DropPath",
    "Dropout",
    "HSigmoid",
    "PixelShufflePack",
    "Swish",
    "SyncBatchNorm",
    "build_activation_layer",
    "build_conv_layer",
    "build_dropout",
    "build_norm_layer",
    "build_padding_layer",
    "build_plugin_layer",
    "build_upsample_layer",
    "drop_path",
    "is_norm",
    "norm_abbreviation",
]

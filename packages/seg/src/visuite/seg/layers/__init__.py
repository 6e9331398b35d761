"""Parts that several heads, necks and backbones use."""

from visuite.seg.layers.attention_refinement import AttentionRefinementModule
from visuite.seg.layers.conv_options import ConvOptions
from visuite.seg.layers.dappm import DAPPM, PAPPM
from visuite.seg.layers.pixels import norm_pixels
from visuite.seg.layers.pooling import CellPooling
from visuite.seg.layers.ppm import PPM
from visuite.seg.layers.residual import BasicBlock, Bottleneck, ResidualBlock, make_block, make_layer
from visuite.seg.layers.resize import Upsample, resize, resize_concat, resize_like
from visuite.seg.layers.self_attention_block import SelfAttentionBlock
from visuite.seg.layers.up_conv import DeconvModule, InterpConv

__all__ = [
    "DAPPM",
    "PAPPM",
    "PPM",
    "AttentionRefinementModule",
    "BasicBlock",
    "Bottleneck",
    "CellPooling",
    "ConvOptions",
    "DeconvModule",
    "InterpConv",
    "ResidualBlock",
    "SelfAttentionBlock",
    "Upsample",
    "make_block",
    "make_layer",
    "norm_pixels",
    "resize",
    "resize_concat",
    "resize_like",
]

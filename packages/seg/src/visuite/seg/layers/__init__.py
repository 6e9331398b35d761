"""Parts that several heads, necks and backbones use."""

from visuite.seg.layers.attention_refinement import AttentionRefinementModule
from visuite.seg.layers.conv_options import ConvOptions
from visuite.seg.layers.ppm import PPM
from visuite.seg.layers.resize import Upsample, resize, resize_concat, resize_like
from visuite.seg.layers.self_attention_block import SelfAttentionBlock
from visuite.seg.layers.up_conv import DeconvModule, InterpConv

__all__ = [
    "PPM",
    "AttentionRefinementModule",
    "ConvOptions",
    "DeconvModule",
    "InterpConv",
    "SelfAttentionBlock",
    "Upsample",
    "resize",
    "resize_concat",
    "resize_like",
]

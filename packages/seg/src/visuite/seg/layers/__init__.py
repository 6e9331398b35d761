"""Parts that several heads, necks and backbones use."""

from visuite.seg.layers.conv_options import ConvOptions
from visuite.seg.layers.ppm import PPM
from visuite.seg.layers.resize import Upsample, resize, resize_concat, resize_like
from visuite.seg.layers.self_attention_block import SelfAttentionBlock

__all__ = ["PPM", "ConvOptions", "SelfAttentionBlock", "Upsample", "resize", "resize_concat", "resize_like"]

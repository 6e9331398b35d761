"""Layers, and the builders that turn their configs into modules."""

from visuite.cv.layers.activation import Clamp, HSigmoid, QuickGELU, Swish, build_activation_layer
from visuite.cv.layers.adaptive_padding import Conv2dAdaptivePadding
from visuite.cv.layers.attention import MultiheadAttention, SelfAttention
from visuite.cv.layers.context_block import ContextBlock
from visuite.cv.layers.conv import LIKE_TORCH, build_conv_layer, build_padding_layer
from visuite.cv.layers.conv_module import ConvModule
from visuite.cv.layers.conv_ws import ConvWS2d, standardise_kernel
from visuite.cv.layers.csp_layer import ChannelAttention, CSPBlock, CSPLayer, CSPNeXtBlock, DarknetBottleneck
from visuite.cv.layers.depthwise_separable import DepthwiseSeparableConvModule
from visuite.cv.layers.drop import DropBlock, Dropout, DropPath, build_dropout, drop_path
from visuite.cv.layers.encoder_layer import TransformerEncoderLayer
from visuite.cv.layers.ffn import FFN, SwiGLUFFN
from visuite.cv.layers.focus import Focus
from visuite.cv.layers.fuse_conv_bn import fuse_conv_bn
from visuite.cv.layers.generalized_attention import GeneralizedAttention
from visuite.cv.layers.inverted_residual import EdgeResidual, InvertedResidual, LinearBottleneck
from visuite.cv.layers.layer_norm2d import GRN, LayerNorm2d
from visuite.cv.layers.make_divisible import make_divisible
from visuite.cv.layers.non_local import NonLocal1d, NonLocal2d, NonLocal3d
from visuite.cv.layers.norm import SyncBatchNorm, build_norm_layer, is_norm, norm_abbreviation
from visuite.cv.layers.patch_embed import AdaptivePadding, PatchEmbed, PatchMerging
from visuite.cv.layers.plugin import build_plugin_layer, plugins_of_stage
from visuite.cv.layers.position import LearnedPositionalEncoding, SinePositionalEncoding, resize_pos_embed
from visuite.cv.layers.recompute import recompute
from visuite.cv.layers.reparam import RepVGGBlock, add_convolutions, fold_norm, identity_kernel, switch_to_deploy
from visuite.cv.layers.scale import LayerScale, Scale
from visuite.cv.layers.se_layer import SELayer
from visuite.cv.layers.spp import RangePooling, SPPBottleneck
from visuite.cv.layers.upsample import PixelShufflePack, build_upsample_layer
from visuite.cv.layers.window_attention import ShiftWindowMSA, WindowMSA

__all__ = [
    "FFN",
    "GRN",
    "LIKE_TORCH",
    "AdaptivePadding",
    "CSPBlock",
    "CSPLayer",
    "CSPNeXtBlock",
    "ChannelAttention",
    "Clamp",
    "ContextBlock",
    "Conv2dAdaptivePadding",
    "ConvModule",
    "ConvWS2d",
    "DarknetBottleneck",
    "DepthwiseSeparableConvModule",
    "DropBlock",
    "DropPath",
    "Dropout",
    "EdgeResidual",
    "Focus",
    "GeneralizedAttention",
    "HSigmoid",
    "InvertedResidual",
    "LayerNorm2d",
    "LayerScale",
    "LearnedPositionalEncoding",
    "LinearBottleneck",
    "MultiheadAttention",
    "NonLocal1d",
    "NonLocal2d",
    "NonLocal3d",
    "PatchEmbed",
    "PatchMerging",
    "PixelShufflePack",
    "QuickGELU",
    "RangePooling",
    "RepVGGBlock",
    "SELayer",
    "SPPBottleneck",
    "Scale",
    "SelfAttention",
    "ShiftWindowMSA",
    "SinePositionalEncoding",
    "SwiGLUFFN",
    "Swish",
    "SyncBatchNorm",
    "TransformerEncoderLayer",
    "WindowMSA",
    "add_convolutions",
    "build_activation_layer",
    "build_conv_layer",
    "build_dropout",
    "build_norm_layer",
    "build_padding_layer",
    "build_plugin_layer",
    "build_upsample_layer",
    "drop_path",
    "fold_norm",
    "fuse_conv_bn",
    "identity_kernel",
    "is_norm",
    "make_divisible",
    "norm_abbreviation",
    "plugins_of_stage",
    "recompute",
    "resize_pos_embed",
    "standardise_kernel",
    "switch_to_deploy",
]

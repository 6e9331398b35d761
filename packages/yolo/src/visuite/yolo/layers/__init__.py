"""Blocks that several backbones and necks of the YOLO family are made of."""

from visuite.yolo.layers.bifusion import BiFusion
from visuite.yolo.layers.c2f import CSPLayerWithTwoConv
from visuite.yolo.layers.cbam import CBAM
from visuite.yolo.layers.csp_res_layer import CSPResLayer, EffectiveSELayer, PPYOLOEBasicBlock
from visuite.yolo.layers.downsample import MaxPoolAndStrideConvBlock, halving_pool
from visuite.yolo.layers.elan import EELANBlock, ELANBlock, TinyDownSampleBlock
from visuite.yolo.layers.implicit import ImplicitA, ImplicitM
from visuite.yolo.layers.rep_blocks import (
    BepC3StageBlock,
    BottleRep,
    ConvWrapper,
    RepStageBlock,
    RepVGGBlock,
    build_block,
)
from visuite.yolo.layers.sizes import make_divisible, make_round
from visuite.yolo.layers.spp_csp import SPPFCSPBlock

__all__ = [
    "CBAM",
    "BepC3StageBlock",
    "BiFusion",
    "BottleRep",
    "CSPLayerWithTwoConv",
    "CSPResLayer",
    "ConvWrapper",
    "EELANBlock",
    "ELANBlock",
    "EffectiveSELayer",
    "ImplicitA",
    "ImplicitM",
    "MaxPoolAndStrideConvBlock",
    "PPYOLOEBasicBlock",
    "RepStageBlock",
    "RepVGGBlock",
    "SPPFCSPBlock",
    "TinyDownSampleBlock",
    "build_block",
    "halving_pool",
    "make_divisible",
    "make_round",
]

"""Heads: maps to scores of classes, losses and predictions."""

from visuite.seg.heads.aspp_head import ASPPHead, DepthwiseSeparableASPPHead
from visuite.seg.heads.cascade_decode_head import BaseCascadeDecodeHead
from visuite.seg.heads.decode_head import BaseDecodeHead
from visuite.seg.heads.fcn_head import DepthwiseSeparableFCNHead, FCNHead
from visuite.seg.heads.fpn_head import FPNHead
from visuite.seg.heads.lraspp_head import LRASPPHead
from visuite.seg.heads.ocr_head import OCRHead
from visuite.seg.heads.psp_head import PSPHead
from visuite.seg.heads.segformer_head import SegformerHead
from visuite.seg.heads.uper_head import UPerHead

__all__ = [
    "ASPPHead",
    "BaseCascadeDecodeHead",
    "BaseDecodeHead",
    "DepthwiseSeparableASPPHead",
    "DepthwiseSeparableFCNHead",
    "FCNHead",
    "FPNHead",
    "LRASPPHead",
    "OCRHead",
    "PSPHead",
    "SegformerHead",
    "UPerHead",
]

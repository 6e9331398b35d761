"""Heads: maps to scores of classes, losses and predictions."""

from visuite.seg.heads.ann_head import ANNHead
from visuite.seg.heads.apc_head import APCHead
from visuite.seg.heads.aspp_head import ASPPHead, DepthwiseSeparableASPPHead
from visuite.seg.heads.cascade_decode_head import BaseCascadeDecodeHead
from visuite.seg.heads.cc_head import CCHead
from visuite.seg.heads.da_head import DAHead
from visuite.seg.heads.ddr_head import DDRHead
from visuite.seg.heads.decode_head import BaseDecodeHead
from visuite.seg.heads.dm_head import DMHead
from visuite.seg.heads.dpt_head import DPTHead
from visuite.seg.heads.ema_head import EMAHead
from visuite.seg.heads.enc_head import EncHead
from visuite.seg.heads.fcn_head import DepthwiseSeparableFCNHead, FCNHead
from visuite.seg.heads.fpn_head import FPNHead
from visuite.seg.heads.gc_head import GCHead
from visuite.seg.heads.ham_head import LightHamHead
from visuite.seg.heads.isa_head import ISAHead
from visuite.seg.heads.knet_head import IterativeDecodeHead, KernelUpdateHead, KernelUpdator
from visuite.seg.heads.lraspp_head import LRASPPHead
from visuite.seg.heads.nl_head import DNLHead, NLHead
from visuite.seg.heads.ocr_head import OCRHead
from visuite.seg.heads.pid_head import PIDHead
from visuite.seg.heads.point_head import PointHead
from visuite.seg.heads.psa_head import PSAHead
from visuite.seg.heads.psp_head import PSPHead
from visuite.seg.heads.segformer_head import SegformerHead
from visuite.seg.heads.segmenter_head import SegmenterMaskTransformerHead
from visuite.seg.heads.setr_head import SETRMLAHead, SETRUPHead
from visuite.seg.heads.stdc_head import STDCHead
from visuite.seg.heads.uper_head import UPerHead

__all__ = [
    "ANNHead",
    "APCHead",
    "ASPPHead",
    "BaseCascadeDecodeHead",
    "BaseDecodeHead",
    "CCHead",
    "DAHead",
    "DDRHead",
    "DMHead",
    "DNLHead",
    "DPTHead",
    "DepthwiseSeparableASPPHead",
    "DepthwiseSeparableFCNHead",
    "EMAHead",
    "EncHead",
    "FCNHead",
    "FPNHead",
    "GCHead",
    "ISAHead",
    "IterativeDecodeHead",
    "KernelUpdateHead",
    "KernelUpdator",
    "LRASPPHead",
    "LightHamHead",
    "NLHead",
    "OCRHead",
    "PIDHead",
    "PSAHead",
    "PSPHead",
    "PointHead",
    "SETRMLAHead",
    "SETRUPHead",
    "STDCHead",
    "SegformerHead",
    "SegmenterMaskTransformerHead",
    "UPerHead",
]

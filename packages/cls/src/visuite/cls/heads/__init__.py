"""Heads: features to losses and predictions."""

from visuite.cls.heads.arcface_head import ArcFaceClsHead
from visuite.cls.heads.cls_head import ClsHead
from visuite.cls.heads.deit_head import DeiTClsHead
from visuite.cls.heads.linear_head import LinearClsHead
from visuite.cls.heads.multi_label_head import MultiLabelClsHead, MultiLabelLinearClsHead
from visuite.cls.heads.stacked_head import LinearBlock, StackedLinearClsHead
from visuite.cls.heads.vision_transformer_head import VisionTransformerClsHead

__all__ = [
    "ArcFaceClsHead",
    "ClsHead",
    "DeiTClsHead",
    "LinearBlock",
    "LinearClsHead",
    "MultiLabelClsHead",
    "MultiLabelLinearClsHead",
    "StackedLinearClsHead",
    "VisionTransformerClsHead",
]

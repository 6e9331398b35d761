"""Heads: features to losses and predictions."""

from visuite.cls.heads.arcface_head import ArcFaceClsHead
from visuite.cls.heads.cls_head import ClsHead
from visuite.cls.heads.conformer_head import ConformerHead
from visuite.cls.heads.csra_head import CSRAClsHead, CSRAModule
from visuite.cls.heads.deit_head import DeiTClsHead
from visuite.cls.heads.efficientformer_head import EfficientFormerClsHead
from visuite.cls.heads.levit_head import BatchNormLinear, LeViTClsHead
from visuite.cls.heads.linear_head import LinearClsHead
from visuite.cls.heads.multi_label_head import MultiLabelClsHead, MultiLabelLinearClsHead
from visuite.cls.heads.stacked_head import LinearBlock, StackedLinearClsHead
from visuite.cls.heads.vig_head import VigClsHead
from visuite.cls.heads.vision_transformer_head import VisionTransformerClsHead

__all__ = [
    "ArcFaceClsHead",
    "BatchNormLinear",
    "CSRAClsHead",
    "CSRAModule",
    "ClsHead",
    "ConformerHead",
    "DeiTClsHead",
    "EfficientFormerClsHead",
    "LeViTClsHead",
    "LinearBlock",
    "LinearClsHead",
    "MultiLabelClsHead",
    "MultiLabelLinearClsHead",
    "StackedLinearClsHead",
    "VigClsHead",
    "VisionTransformerClsHead",
]

"""Operators of vision models, on torch and torchvision alone: alike on CPU and CUDA, and nothing to compile."""

from visuite.cv.ops.batched_nms import batched_nms
from visuite.cv.ops.bbox_overlaps import bbox_overlaps
from visuite.cv.ops.boxes import (
    bbox_cxcywh_to_xyxy,
    bbox_xywh_to_xyxy,
    bbox_xyxy_to_cxcywh,
    bbox_xyxy_to_xywh,
    box_area,
    convert_boxes,
    full_precision,
)
from visuite.cv.ops.cc_attention import CrissCrossAttention
from visuite.cv.ops.deform_conv import DeformConv2d, DeformConv2dPack, deform_conv2d
from visuite.cv.ops.focal_loss import (
    SigmoidFocalLoss,
    SoftmaxFocalLoss,
    binary_focal_loss,
    sigmoid_focal_loss,
    softmax_focal_loss,
)
from visuite.cv.ops.masked_conv import MaskedConv2d, masked_conv2d
from visuite.cv.ops.modulated_deform_conv import (
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
    modulated_deform_conv2d,
)
from visuite.cv.ops.multi_scale_deform_attn import MultiScaleDeformableAttention, multi_scale_deformable_attn_pytorch
from visuite.cv.ops.nms import nms
from visuite.cv.ops.nms_match import nms_match
from visuite.cv.ops.point_sample import (
    SimpleRoIAlign,
    abs_img_point_to_rel_img_point,
    generate_grid,
    point_sample,
    rel_roi_point_to_abs_img_point,
    rel_roi_point_to_rel_img_point,
    uncertain_points,
)
from visuite.cv.ops.psa_mask import PSAMask, psa_mask
from visuite.cv.ops.roi_align import RoIAlign, roi_align
from visuite.cv.ops.roi_pool import RoIPool, roi_pool
from visuite.cv.ops.soft_nms import soft_nms

__all__ = [
    "CrissCrossAttention",
    "DeformConv2d",
    "DeformConv2dPack",
    "MaskedConv2d",
    "ModulatedDeformConv2d",
    "ModulatedDeformConv2dPack",
    "MultiScaleDeformableAttention",
    "PSAMask",
    "RoIAlign",
    "RoIPool",
    "SigmoidFocalLoss",
    "SimpleRoIAlign",
    "SoftmaxFocalLoss",
    "abs_img_point_to_rel_img_point",
    "batched_nms",
    "bbox_cxcywh_to_xyxy",
    "bbox_overlaps",
    "bbox_xywh_to_xyxy",
    "bbox_xyxy_to_cxcywh",
    "bbox_xyxy_to_xywh",
    "binary_focal_loss",
    "box_area",
    "convert_boxes",
    "deform_conv2d",
    "full_precision",
    "generate_grid",
    "masked_conv2d",
    "modulated_deform_conv2d",
    "multi_scale_deformable_attn_pytorch",
    "nms",
    "nms_match",
    "point_sample",
    "psa_mask",
    "rel_roi_point_to_abs_img_point",
    "rel_roi_point_to_rel_img_point",
    "roi_align",
    "roi_pool",
    "sigmoid_focal_loss",
    "soft_nms",
    "softmax_focal_loss",
    "uncertain_points",
]

"""Dense heads: features to losses and objects, a prediction at each place of each level."""

from visuite.det.heads.anchor_head import AnchorHead
from visuite.det.heads.atss_head import ATSSHead
from visuite.det.heads.deformable_detr_head import DeformableDETRHead
from visuite.det.heads.dense import DenseHead, DenseOutputs, best_of_levels, finish, rescale_boxes
from visuite.det.heads.detr_head import DETRHead
from visuite.det.heads.fcos_head import FCOSHead
from visuite.det.heads.gfl_head import GFLHead, Integral
from visuite.det.heads.levels import flatten_levels, map_sizes, mean_over_ranks, usable_priors
from visuite.det.heads.query_head import QueryHead
from visuite.det.heads.retina_head import RetinaHead
from visuite.det.heads.rpn_head import RPNHead
from visuite.det.heads.rtmdet_head import RTMDetSepBNHead
from visuite.det.heads.ssd_head import SSDHead
from visuite.det.heads.towers import conv_tower, prior_bias, rare_classes
from visuite.det.heads.yolox_head import YOLOXHead

__all__ = [
    "ATSSHead",
    "AnchorHead",
    "DETRHead",
    "DeformableDETRHead",
    "DenseHead",
    "DenseOutputs",
    "FCOSHead",
    "GFLHead",
    "Integral",
    "QueryHead",
    "RPNHead",
    "RTMDetSepBNHead",
    "RetinaHead",
    "SSDHead",
    "YOLOXHead",
    "best_of_levels",
    "conv_tower",
    "finish",
    "flatten_levels",
    "map_sizes",
    "mean_over_ranks",
    "prior_bias",
    "rare_classes",
    "rescale_boxes",
    "usable_priors",
]

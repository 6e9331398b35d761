"""Dense heads: features to losses and objects, a prediction at each place of each level."""

from visuite.det.heads.anchor_head import AnchorHead
from visuite.det.heads.dense import DenseHead, DenseOutputs, best_of_levels, finish, rescale_boxes
from visuite.det.heads.levels import flatten_levels, map_sizes, mean_over_ranks, usable_priors
from visuite.det.heads.retina_head import RetinaHead
from visuite.det.heads.rpn_head import RPNHead
from visuite.det.heads.towers import conv_tower, prior_bias, rare_classes

__all__ = [
    "AnchorHead",
    "DenseHead",
    "DenseOutputs",
    "RPNHead",
    "RetinaHead",
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

"""Losses, and the accuracy that is logged beside them."""

from visuite.cv.losses.accuracy import Accuracy, accuracy, hits
from visuite.cv.losses.associative_embedding import AssociativeEmbeddingLoss, associative_embedding_loss
from visuite.cv.losses.asymmetric_loss import AsymmetricLoss, asymmetric_loss
from visuite.cv.losses.base import WeightedLoss
from visuite.cv.losses.boundary_loss import BoundaryLoss, boundary_loss
from visuite.cv.losses.classification import one_hot_targets
from visuite.cv.losses.cross_entropy import (
    CrossEntropyLoss,
    binary_cross_entropy,
    cross_entropy,
    mask_cross_entropy,
    soft_cross_entropy,
)
from visuite.cv.losses.dice_loss import DiceLoss, dice_loss
from visuite.cv.losses.distillation import KnowledgeDistillationKLDivLoss
from visuite.cv.losses.focal_loss import FocalLoss, focal_loss
from visuite.cv.losses.gaussian_focal_loss import GaussianFocalLoss, gaussian_focal_loss
from visuite.cv.losses.generalized_focal_loss import (
    DistributionFocalLoss,
    QualityFocalLoss,
    distribution_focal_loss,
    quality_focal_loss,
)
from visuite.cv.losses.ghm_loss import GHMC, GHMR
from visuite.cv.losses.iou_loss import (
    BoundedIoULoss,
    CIoULoss,
    DIoULoss,
    GIoULoss,
    IoULoss,
    bounded_iou_loss,
    iou_loss,
)
from visuite.cv.losses.label_smooth import LabelSmoothLoss
from visuite.cv.losses.lovasz_loss import LovaszLoss, lovasz_hinge, lovasz_softmax
from visuite.cv.losses.ohem_cross_entropy import OhemCrossEntropy
from visuite.cv.losses.reduce import reduce_loss, weight_reduce_loss
from visuite.cv.losses.regression import (
    BalancedL1Loss,
    L1Loss,
    MSELoss,
    SmoothL1Loss,
    balanced_l1_loss,
    smooth_l1_loss,
)
from visuite.cv.losses.seesaw_loss import SeesawLoss, seesaw_loss
from visuite.cv.losses.sigmoid_scores import CrossEntropyCustomLoss, FocalCustomLoss
from visuite.cv.losses.tversky_loss import TverskyLoss, tversky_loss
from visuite.cv.losses.varifocal_loss import VarifocalLoss, varifocal_loss

__all__ = [
    "GHMC",
    "GHMR",
    "Accuracy",
    "AssociativeEmbeddingLoss",
    "AsymmetricLoss",
    "BalancedL1Loss",
    "BoundaryLoss",
    "BoundedIoULoss",
    "CIoULoss",
    "CrossEntropyCustomLoss",
    "CrossEntropyLoss",
    "DIoULoss",
    "DiceLoss",
    "DistributionFocalLoss",
    "FocalCustomLoss",
    "FocalLoss",
    "GIoULoss",
    "GaussianFocalLoss",
    "IoULoss",
    "KnowledgeDistillationKLDivLoss",
    "L1Loss",
    "LabelSmoothLoss",
    "LovaszLoss",
    "MSELoss",
    "OhemCrossEntropy",
    "QualityFocalLoss",
    "SeesawLoss",
    "SmoothL1Loss",
    "TverskyLoss",
    "VarifocalLoss",
    "WeightedLoss",
    "accuracy",
    "associative_embedding_loss",
    "asymmetric_loss",
    "balanced_l1_loss",
    "binary_cross_entropy",
    "boundary_loss",
    "bounded_iou_loss",
    "cross_entropy",
    "dice_loss",
    "distribution_focal_loss",
    "focal_loss",
    "gaussian_focal_loss",
    "hits",
    "iou_loss",
    "lovasz_hinge",
    "lovasz_softmax",
    "mask_cross_entropy",
    "one_hot_targets",
    "quality_focal_loss",
    "reduce_loss",
    "seesaw_loss",
    "smooth_l1_loss",
    "soft_cross_entropy",
    "tversky_loss",
    "varifocal_loss",
    "weight_reduce_loss",
]

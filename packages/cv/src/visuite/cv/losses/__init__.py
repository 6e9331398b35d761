"""Losses, and the accuracy that is logged beside them."""

from visuite.cv.losses.accuracy import Accuracy, accuracy, hits
from visuite.cv.losses.cross_entropy import (
    CrossEntropyLoss,
    binary_cross_entropy,
    cross_entropy,
    mask_cross_entropy,
    soft_cross_entropy,
)
from visuite.cv.losses.label_smooth import LabelSmoothLoss
from visuite.cv.losses.reduce import reduce_loss, weight_reduce_loss

__all__ = [
    "Accuracy",
    "CrossEntropyLoss",
    "LabelSmoothLoss",
    "accuracy",
    "binary_cross_entropy",
    "cross_entropy",
    "hits",
    "mask_cross_entropy",
    "reduce_loss",
    "soft_cross_entropy",
    "weight_reduce_loss",
]

"""Losses that make a box head score each class by itself, with no score for background (V3Det, arXiv:2304.03752).

Shapes: N boxes, C classes.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.cv.losses.accuracy import accuracy
from visuite.cv.losses.classification import require_sigmoid
from visuite.cv.losses.cross_entropy import CrossEntropyLoss
from visuite.cv.losses.focal_loss import FocalLoss
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


class SigmoidScores:
    """What a box head asks of a loss for scores (N, C): `custom_cls_channels` and its fellows say that it may."""

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True
    num_classes: int

    def get_cls_channels(self, num_classes: int) -> int:
        """Return C.

        Raises:
            ValueError: the head has another number of classes.
        """
        if num_classes != self.num_classes:
            raise ValueError(f"the loss was made for {self.num_classes} classes, the head has {num_classes}")
        return num_classes

    def get_activation(self, cls_score: torch.Tensor) -> torch.Tensor:
        """Turn scores (N, C) into probabilities (N, C + 1), the last being what the others leave to background."""
        probs = full_precision(cls_score).sigmoid()
        return torch.cat((probs, (1 - probs.sum(-1, keepdim=True)).clamp(0, 1)), dim=-1)

    def get_accuracy(self, cls_score: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return how often, in percent, the class of an object is right.

        Args:
            cls_score: (N, C).
            labels: (N,), C being background.
        """
        found = labels < self.num_classes
        return {"acc_classes": accuracy(cls_score[found], labels[found])}


@MODELS.register_module()
class CrossEntropyCustomLoss(SigmoidScores, CrossEntropyLoss):
    """Cross entropy of sigmoids for a box head without a background score.

    Args:
        use_sigmoid: Must be true.
        num_classes: C.
        **kwargs: Of `CrossEntropyLoss`.

    Raises:
        ValueError: `use_sigmoid=False`, or what `CrossEntropyLoss` raises.
    """

    def __init__(self, use_sigmoid: bool = True, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(require_sigmoid(self, use_sigmoid), **kwargs)
        self.num_classes = num_classes


@MODELS.register_module()
class FocalCustomLoss(SigmoidScores, FocalLoss):
    """Focal loss for a box head without a background score.

    Args:
        use_sigmoid: Must be true.
        num_classes: C.
        **kwargs: Of `FocalLoss`.

    Raises:
        ValueError: `use_sigmoid=False`, or what `FocalLoss` raises.
    """

    def __init__(self, use_sigmoid: bool = True, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(use_sigmoid, **kwargs)
        self.num_classes = num_classes

"""Focal loss of heat maps with a soft hill around each object's centre.

From CornerNet (Law and Deng, arXiv:1808.01244) and CenterNet (Zhou et al., arXiv:1904.07850).

Shapes: * any dimensions of a heat map; M pixels, C classes, K objects.
"""

from __future__ import annotations

import torch

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS

EPS = 1e-12  # a probability of 0 has a finite logarithm


def gaussian_focal_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    alpha: float = 2.0,
    gamma: float = 4.0,
    pos_weight: float = 1.0,
    neg_weight: float = 1.0,
) -> torch.Tensor:
    """Cross entropy whose negatives count less the nearer they are to a centre.

    Args:
        pred: Probabilities (*).
        target: Heat (*), 1 at a centre.
        alpha: How fast the loss of good predictions falls off.
        gamma: How fast negatives lose weight towards a centre: they weigh (1 - heat)^gamma.
        pos_weight: Weight of centres.
        neg_weight: Weight of everything else.

    Returns:
        (*), in float32 at least.

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(pred, target)
    p = full_precision(pred)
    heat = target.to(p)
    return torch.where(
        heat == 1, pos_weight * _centre_cost(p, alpha), neg_weight * _elsewhere_cost(p, alpha) * (1 - heat) ** gamma
    )


def _centre_cost(p: torch.Tensor, alpha: float) -> torch.Tensor:
    return -(p + EPS).log() * (1 - p) ** alpha


def _elsewhere_cost(p: torch.Tensor, alpha: float) -> torch.Tensor:
    return -(1 - p + EPS).log() * p**alpha


@MODELS.register_module()
class GaussianFocalLoss(WeightedLoss):
    """Focal loss of heat maps (arXiv:1808.01244, arXiv:1904.07850).

    Args:
        alpha: How fast the loss of good predictions falls off.
        gamma: How fast negatives lose weight towards a centre.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
        pos_weight: Weight of centres.
        neg_weight: Weight of everything else.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        gamma: float = 4.0,
        *,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        pos_weight: float = 1.0,
        neg_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.alpha, self.gamma = alpha, gamma
        self.pos_weight, self.neg_weight = pos_weight, neg_weight

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Probabilities (*) and heat (*) to (*)."""
        return gaussian_focal_loss(
            pred,
            target,
            alpha=self.alpha,
            gamma=self.gamma,
            pos_weight=self.pos_weight,
            neg_weight=self.neg_weight,
        )

    def forward(
        self,
        pred: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
        *,
        pos_inds: torch.Tensor | None = None,
        pos_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss; the centres are where the heat is 1, or where `pos_inds` says.

        Args:
            pred: Probabilities (*), or (M, C) with `pos_inds`.
            target: Heat, of the same shape.
            weight: Of the same shape, or of its first dimensions.
            avg_factor: What the sum is divided by.
            reduction_override: Used instead of the loss's own reduction.
            pos_inds: Pixels (K,) of the objects' centres. Two objects may share one; it counts twice then. Every pixel
                is a negative besides, as far as its heat lets it.
            pos_labels: Classes (K,) of the objects.

        Raises:
            ValueError: `pos_inds` without `pos_labels`, or with weights or reduction `none`.
        """
        if pos_inds is None:
            return super().forward(pred, target, weight, avg_factor, reduction_override)
        if pos_labels is None or weight is not None or (reduction_override or self.reduction) == "none":
            raise ValueError("pos_inds go with pos_labels, without weights, and need a reduction")
        check_same_shape(pred, target)
        p = full_precision(pred)
        centres = _centre_cost(p[pos_inds, pos_labels], self.alpha)
        elsewhere = _elsewhere_cost(p, self.alpha) * (1 - target.to(p)) ** self.gamma
        return self.pos_weight * self.reduce(centres, None, avg_factor, reduction_override) + (
            self.neg_weight * self.reduce(elsewhere, None, avg_factor, reduction_override)
        )

"""Losses of the difference between a number and its target: L1, smooth L1, balanced L1, squares.

Shapes: * any dimensions, most often (N, 4) of N boxes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


def smooth_l1_loss(pred: torch.Tensor, target: torch.Tensor, *, beta: float = 1.0) -> torch.Tensor:
    """Return (*): d^2 / (2 beta) where the distance d is below beta, d - beta / 2 elsewhere (arXiv:1504.08083)."""
    check_same_shape(pred, target)
    pred = full_precision(pred)
    return F.smooth_l1_loss(pred, target.to(pred), reduction="none", beta=beta)


def balanced_l1_loss(
    pred: torch.Tensor, target: torch.Tensor, *, alpha: float = 0.5, gamma: float = 1.5, beta: float = 1.0
) -> torch.Tensor:
    """L1 loss whose gradient grows as a logarithm, so that small errors count more (Pang et al., arXiv:1904.02701).

    With d the distance and b = e^(gamma / alpha) - 1, it is `alpha / b (b d + 1) log(b d / beta + 1) - alpha d` below
    beta, and continues as a line of slope gamma. The paper has beta = 1.

    Args:
        pred: (*).
        target: (*).
        alpha: How steeply the gradient of small errors grows; less is steeper.
        gamma: The gradient of errors above beta.
        beta: Where both parts meet.

    Returns:
        (*).
    """
    distance = _difference(pred, target).abs()
    b = math.exp(gamma / alpha) - 1
    small = distance.clamp(max=beta)
    inner = alpha / b * (b * small + 1) * torch.log(b * small / beta + 1) - alpha * small
    return torch.where(distance < beta, inner, gamma * distance + gamma / b - alpha * beta)


def _difference(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    check_same_shape(pred, target)
    return full_precision(pred) - full_precision(target)


@MODELS.register_module()
class L1Loss(WeightedLoss):
    """Mean absolute error.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
    """

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(*) and (*) to (*)."""
        return _difference(pred, target).abs()


@MODELS.register_module()
class MSELoss(WeightedLoss):
    """Mean squared error.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
    """

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(*) and (*) to (*)."""
        return _difference(pred, target) ** 2


@MODELS.register_module()
class SmoothL1Loss(WeightedLoss):
    """Squares near the target, L1 farther off (Girshick, arXiv:1504.08083).

    Args:
        beta: Where both parts meet; 0 is L1.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.

    Raises:
        ValueError: a negative beta, or a wrong reduction.
    """

    def __init__(self, beta: float = 1.0, reduction: str = "mean", *, loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        if beta < 0:
            raise ValueError(f"beta is a distance, not {beta}")
        self.beta = beta

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(*) and (*) to (*)."""
        return smooth_l1_loss(pred, target, beta=self.beta)


@MODELS.register_module()
class BalancedL1Loss(WeightedLoss):
    """L1 loss that lets small errors count more (arXiv:1904.02701); see `balanced_l1_loss`.

    Args:
        alpha: How steeply the gradient of small errors grows.
        gamma: The gradient of large errors.
        beta: Where both parts meet.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.

    Raises:
        ValueError: alpha or beta is not positive, or a wrong reduction.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        gamma: float = 1.5,
        *,
        beta: float = 1.0,
        reduction: str = "mean",
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if alpha <= 0 or beta <= 0:
            raise ValueError(f"alpha and beta are positive, not {alpha} and {beta}")
        self.alpha, self.gamma, self.beta = alpha, gamma, beta

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(*) and (*) to (*)."""
        return balanced_l1_loss(pred, target, alpha=self.alpha, gamma=self.gamma, beta=self.beta)

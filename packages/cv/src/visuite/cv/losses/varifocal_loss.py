"""Varifocal loss: scores that learn how well boxes fit (Zhang et al., arXiv:2008.13367).

Shapes: N boxes, C classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.losses.classification import require_sigmoid
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


def varifocal_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    alpha: float = 0.75,
    gamma: float = 2.0,
    iou_weighted: bool = True,
) -> torch.Tensor:
    """Cross entropy of the sigmoid p with the fit q, times q where there is an object and alpha p^gamma elsewhere.

    Args:
        pred: Logits (N, C).
        target: IoU with the true box, (N, C); 0 for other classes and for background.
        alpha: Weight of background.
        gamma: How fast the loss of background falls off.
        iou_weighted: Objects weigh q; otherwise 1.

    Returns:
        (N, C), in float32 at least.

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(pred, target)
    logits, fit = full_precision(pred), target.to(full_precision(pred))
    object_weight = fit if iou_weighted else torch.ones_like(fit)
    background_weight = alpha * torch.exp(gamma * F.logsigmoid(logits))
    weight = torch.where(fit > 0, object_weight, background_weight)
    return weight * F.binary_cross_entropy_with_logits(logits, fit, reduction="none")


@MODELS.register_module()
class VarifocalLoss(WeightedLoss):
    """Varifocal loss (arXiv:2008.13367).

    Args:
        use_sigmoid: Must be true.
        alpha: Weight of background.
        gamma: How fast the loss of background falls off.
        iou_weighted: Objects weigh what their boxes' IoU is.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.

    Raises:
        ValueError: `use_sigmoid=False`, a negative alpha, or a wrong reduction.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        alpha: float = 0.75,
        *,
        gamma: float = 2.0,
        iou_weighted: bool = True,
        reduction: str = "mean",
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if alpha < 0:
            raise ValueError(f"alpha is a weight, not {alpha}")
        self.use_sigmoid = require_sigmoid(self, use_sigmoid)
        self.alpha, self.gamma = alpha, gamma
        self.iou_weighted = iou_weighted

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) and fits (N, C) to (N, C)."""
        return varifocal_loss(pred, target, alpha=self.alpha, gamma=self.gamma, iou_weighted=self.iou_weighted)

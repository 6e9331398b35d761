"""Asymmetric loss of several labels: positives and negatives have focusing powers of their own.

From Ben-Baruch et al., arXiv:2009.14119.

Shapes: N elements, C classes.
"""

from __future__ import annotations

import torch

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.losses.classification import class_probabilities, one_hot_targets
from visuite.engine.registry import MODELS


def asymmetric_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    clip: float | None = 0.05,
    use_sigmoid: bool = True,
    eps: float = 1e-8,
) -> torch.Tensor:
    """Focal cross entropy; negatives with a probability below `clip` cost nothing.

    Args:
        pred: Logits (N, C).
        target: Classes (N,) or (N, 1), or 0 and 1 for each class (N, C).
        gamma_pos: The focusing power of positives.
        gamma_neg: The focusing power of negatives.
        clip: The margin by which the probabilities of negatives are lowered; None or 0 for none.
        use_sigmoid: Each class by itself; otherwise softmax.
        eps: The least probability whose logarithm is taken.

    Returns:
        (N, C), in float32 at least.

    Raises:
        ValueError: shapes that do not go together.
    """
    probs = class_probabilities(pred, use_sigmoid=use_sigmoid)
    if target.shape != pred.shape:
        target = one_hot_targets(target.squeeze(1) if target.ndim == 2 else target, pred.shape[1])
    check_same_shape(pred, target)
    positive = target.to(probs)
    negatives = (1 - probs + (clip or 0)).clamp(max=1)
    right = positive * probs + (1 - positive) * negatives
    power = positive * gamma_pos + (1 - positive) * gamma_neg
    return -right.clamp(min=eps).log() * (1 - right) ** power


@MODELS.register_module()
class AsymmetricLoss(WeightedLoss):
    """Asymmetric loss (arXiv:2009.14119).

    Args:
        gamma_pos: The focusing power of positives.
        gamma_neg: The focusing power of negatives.
        clip: The margin by which the probabilities of negatives are lowered; None or 0 for none.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
        use_sigmoid: Each class by itself; otherwise softmax.
        eps: The least probability whose logarithm is taken.
    """

    def __init__(
        self,
        gamma_pos: float = 0.0,
        gamma_neg: float = 4.0,
        *,
        clip: float | None = 0.05,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        use_sigmoid: bool = True,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.gamma_pos, self.gamma_neg = gamma_pos, gamma_neg
        self.clip = clip
        self.use_sigmoid = use_sigmoid
        self.eps = eps

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) and classes (N,), or 0 and 1 (N, C), to (N, C)."""
        return asymmetric_loss(
            pred,
            target,
            gamma_pos=self.gamma_pos,
            gamma_neg=self.gamma_neg,
            clip=self.clip,
            use_sigmoid=self.use_sigmoid,
            eps=self.eps,
        )

"""Focal losses of qualities between 0 and 1, and of distances as distributions (Li et al., arXiv:2006.04388).

Shapes: N boxes or distances, C classes, n + 1 whole distances 0..n.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.losses.classification import as_logits, one_hot_targets, require_sigmoid
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS

Quality = torch.Tensor | tuple[torch.Tensor, torch.Tensor]


def quality_focal_loss(
    pred: torch.Tensor, target: Quality, *, beta: float = 2.0, activated: bool = False
) -> torch.Tensor:
    """Cross entropy of the sigmoid with a quality q, times |q - p|^beta, summed over the classes; float32 at least.

    Args:
        pred: Logits (N, C).
        target: Classes (N,), those outside 0..C-1 being background, and qualities (N,) in [0, 1]; or qualities (N, C).
        beta: How fast the loss of good predictions falls off.
        activated: `pred` are probabilities.

    Returns:
        (N,).

    Raises:
        ValueError: shapes that do not go together.
    """
    logits = as_logits(pred, activated=activated)
    if isinstance(target, torch.Tensor):
        quality = target.to(logits)
    else:
        label, score = target
        quality = one_hot_targets(label, pred.shape[1]) * score.to(logits).unsqueeze(1)
    check_same_shape(logits, quality)
    cost = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    miss = (quality - logits.sigmoid()).abs().clamp(min=torch.finfo(logits.dtype).tiny)  # 0^beta has no gradient
    return (miss**beta * cost).sum(1)


def distribution_focal_loss(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the softmax with the two whole distances around the true one, nearer ones weighing more.

    Args:
        pred: Logits (N, n + 1).
        target: Distances (N,), clipped to [0, n].

    Returns:
        (N,).

    Raises:
        ValueError: shapes that do not go together.
    """
    last = pred.shape[1] - 1
    if target.shape != pred.shape[:1] or last < 1:
        shapes = f"{tuple(pred.shape)} and {tuple(target.shape)}"
        raise ValueError(f"distributions and distances have shapes (N, n + 1) and (N,), not {shapes}")
    logs = full_precision(pred).log_softmax(1)
    distance = target.to(logs).clamp(0, last)
    below = distance.floor().clamp(max=last - 1)
    share = (distance - below).unsqueeze(1)
    index = below.long().unsqueeze(1)
    return -((1 - share) * logs.gather(1, index) + share * logs.gather(1, index + 1)).squeeze(1)


@MODELS.register_module()
class QualityFocalLoss(WeightedLoss):
    """Focal loss whose target is how good a box is (arXiv:2006.04388).

    Args:
        use_sigmoid: Must be true.
        beta: How fast the loss of good predictions falls off.
        reduction: `none`, `mean` or `sum`; over boxes.
        loss_weight: Multiplies the result.
        activated: Predictions are probabilities, not logits.

    Raises:
        ValueError: `use_sigmoid=False`, or a wrong reduction.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        beta: float = 2.0,
        *,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        activated: bool = False,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = require_sigmoid(self, use_sigmoid)
        self.beta = beta
        self.activated = activated

    def elements(self, pred: torch.Tensor, target: Quality) -> torch.Tensor:
        """Logits (N, C) and (classes (N,), qualities (N,)), or qualities (N, C), to (N,)."""
        return quality_focal_loss(pred, target, beta=self.beta, activated=self.activated)


@MODELS.register_module()
class DistributionFocalLoss(WeightedLoss):
    """Loss of a distance that is predicted as a distribution over whole numbers (arXiv:2006.04388).

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
    """

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, n + 1) and distances (N,) to (N,)."""
        return distribution_focal_loss(pred, target)

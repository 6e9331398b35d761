"""Cross entropy of boundaries, in which the few boundary pixels weigh as much as all others.

From HED (Xie and Tu, arXiv:1504.06375), as PIDNet (Xu et al., arXiv:2206.02066) uses it.

Shapes: B images, H rows, W columns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


def boundary_loss(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Class-balanced binary cross entropy: boundaries weigh the share of other pixels in the batch, and the reverse.

    Args:
        pred: Logits (B, 1, H, W) or (B, H, W).
        target: (B, H, W): 1 on boundaries, 0 elsewhere; anything else is ignored.

    Returns:
        (B, H, W), in float32 at least.

    Raises:
        ValueError: the shapes differ.
    """
    logits = full_precision(pred)
    logits = logits.squeeze(1) if logits.ndim == target.ndim + 1 and logits.shape[1] == 1 else logits
    check_same_shape(logits, target)
    positive, negative = target == 1, target == 0
    counts = torch.stack((positive.sum(), negative.sum())).to(logits)
    share = counts / counts.sum().clamp(min=1)
    weight = share[1] * positive + share[0] * negative
    return weight * F.binary_cross_entropy_with_logits(logits, positive.to(logits), reduction="none")


@MODELS.register_module()
class BoundaryLoss(WeightedLoss):
    """Class-balanced binary cross entropy (arXiv:1504.06375); see `boundary_loss`.

    Args:
        loss_weight: Multiplies the result.
        loss_name: The name under which a head logs it.
        reduction: `none`, `mean` or `sum`; over pixels, ignored ones too.
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = "loss_boundary", *, reduction: str = "mean") -> None:
        super().__init__(reduction, loss_weight)
        self.loss_name = loss_name

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1, H, W) or (B, H, W) and boundaries (B, H, W) to (B, H, W)."""
        return boundary_loss(pred, target)

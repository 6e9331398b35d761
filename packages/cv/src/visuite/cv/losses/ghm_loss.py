"""Losses that weigh examples by how rare their gradients are.

Gradient harmonizing mechanism (Li et al., arXiv:1811.05181).

Shapes: N examples, C classes, * any dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.losses.classification import one_hot_targets, require_sigmoid
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


class _GradientDensity(WeightedLoss):
    """Bins of the gradient's size, and the weights that follow from how many examples fall into each.

    `edges` (bins + 1,) and the running counts `acc_sum` (bins,) are part of the state.
    """

    edges: torch.Tensor
    acc_sum: torch.Tensor

    def __init__(self, bins: int, momentum: float, reduction: str, loss_weight: float, beyond: float) -> None:
        super().__init__(reduction, loss_weight)
        self.bins, self.momentum = bins, momentum
        edges = torch.arange(bins + 1) / bins
        edges[-1] += beyond
        self.register_buffer("edges", edges)
        if momentum > 0:
            self.register_buffer("acc_sum", torch.zeros(bins))

    def harmonize(
        self,
        loss: torch.Tensor,
        gradient: torch.Tensor,
        valid: torch.Tensor,
        total: torch.Tensor,
        reduction_override: str | None,
    ) -> torch.Tensor:
        """Reduce losses, each weighing the total over the number of those with a gradient like its own.

        Args:
            loss: (*).
            gradient: How large its gradient is, (*) in [0, 1].
            valid: Which entries count, (*).
            total: Their number, or the sum of their weights; a mean is by it.
            reduction_override: Used instead of the loss's own reduction.
        """
        weight = self._weight(gradient.detach(), valid, total)
        mean = (reduction_override or self.reduction) == "mean"
        return self.reduce(loss, weight, total if mean else None, reduction_override)

    @torch.no_grad()
    def _weight(self, gradient: torch.Tensor, valid: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        place = torch.bucketize(gradient, self.edges[1:-1].to(gradient), right=True)
        density = torch.bincount(place[valid], minlength=self.bins).to(gradient)
        filled = density > 0
        if self.momentum > 0:
            running = self.momentum * self.acc_sum + (1 - self.momentum) * density.to(self.acc_sum)
            self.acc_sum.copy_(torch.where(filled, running, self.acc_sum))
            density = self.acc_sum.to(gradient)
        weight = torch.where(filled, total / density, 0)  # empty bins are not divided by
        return (weight / filled.sum().clamp(min=1))[place] * valid


@MODELS.register_module()
class GHMC(_GradientDensity):
    """Binary cross entropy with harmonized gradients (arXiv:1811.05181).

    Args:
        bins: Into how many the size of the gradient is divided.
        momentum: Of the running counts; 0 counts each batch by itself.
        use_sigmoid: Must be true.
        loss_weight: Multiplies the result.
        reduction: `none`, `mean` or `sum`; the mean is over valid entries.

    Raises:
        ValueError: `use_sigmoid=False`, or a wrong reduction.
    """

    def __init__(
        self,
        bins: int = 10,
        momentum: float = 0.0,
        *,
        use_sigmoid: bool = True,
        loss_weight: float = 1.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(bins, momentum, reduction, loss_weight, beyond=1e-6)
        self.use_sigmoid = require_sigmoid(self, use_sigmoid)

    def forward(
        self,
        pred: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor:
        """Return the loss.

        Args:
            pred: Logits (N, C).
            target: Classes (N,), those beyond C-1 being background and negative ones ignored; or 0 and 1 (N, C).
            weight: (N,) or (N, C); only whether it is above 0 counts.
            avg_factor: Not used: the mean is over the entries that count.
            reduction_override: Used instead of the loss's own reduction.

        Raises:
            ValueError: shapes that do not go together.
        """
        logits = full_precision(pred)
        counts = torch.ones_like(pred, dtype=torch.bool)
        if weight is not None:
            counts = counts & (weight if weight.ndim == pred.ndim else weight.unsqueeze(1)).gt(0)
        if target.ndim != pred.ndim:
            counts = counts & (target >= 0).unsqueeze(1)
            target = one_hot_targets(target, pred.shape[1])
        check_same_shape(pred, target)
        truth = target.to(logits)
        total = counts.sum().clamp(min=1)
        loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return self.harmonize(loss, (logits.sigmoid() - truth).abs(), counts, total, reduction_override)


@MODELS.register_module()
class GHMR(_GradientDensity):
    """A smooth L1 loss, sqrt(d^2 + mu^2) - mu, with harmonized gradients (arXiv:1811.05181).

    Args:
        mu: Where squares pass into L1.
        bins: Into how many the size of the gradient is divided.
        momentum: Of the running counts; 0 counts each batch by itself.
        loss_weight: Multiplies the result.
        reduction: `none`, `mean` or `sum`; the mean is by the weights.
    """

    def __init__(
        self,
        mu: float = 0.02,
        bins: int = 10,
        *,
        momentum: float = 0.0,
        loss_weight: float = 1.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(bins, momentum, reduction, loss_weight, beyond=1e3)
        self.mu = mu

    def forward(
        self,
        pred: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor:
        """Return the loss.

        Args:
            pred: (*), most often (N, 4).
            target: (*).
            weight: (*), or of the first dimensions; entries above 0 count.
            avg_factor: Not used: the mean is by the weights.
            reduction_override: Used instead of the loss's own reduction.

        Raises:
            ValueError: the shapes differ.
        """
        check_same_shape(pred, target)
        difference = full_precision(pred) - full_precision(target)
        length = (difference.square() + self.mu**2).sqrt()
        weights = torch.ones_like(difference)
        if weight is not None:
            weights = weights * weight.reshape(*weight.shape, *(1,) * (difference.ndim - weight.ndim))
        total = weights.sum().clamp(min=1)
        return self.harmonize(length - self.mu, (difference / length).abs(), weights > 0, total, reduction_override)

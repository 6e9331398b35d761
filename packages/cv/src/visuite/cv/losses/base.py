"""The frame of a loss: settings, weights, reduction."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.losses.reduce import AvgFactor, check_reduction, weight_reduce_loss


class WeightedLoss(nn.Module):
    """A loss for each element, weighed and reduced. A subclass writes `elements`, or a `forward` that ends in `reduce`.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.

    Raises:
        ValueError: another reduction.
    """

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0) -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)
        self.loss_weight = loss_weight

    def elements(self, pred: torch.Tensor, target: Any) -> torch.Tensor:
        """Return the loss of each element."""
        raise NotImplementedError(f"{type(self).__name__} needs elements() or a forward() of its own")

    def reduce(
        self,
        loss: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor:
        """Return the elements' losses weighed, reduced (see `weight_reduce_loss`) and times `loss_weight`."""
        reduction = reduction_override or self.reduction
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction=reduction, avg_factor=avg_factor)

    def forward(
        self,
        pred: torch.Tensor,
        target: Any,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor:
        """Return the loss.

        Args:
            pred: As the class says.
            target: As the class says.
            weight: One for each element, or one for each row of elements.
            avg_factor: What the sum is divided by, instead of the number of elements.
            reduction_override: Used instead of the loss's own reduction.
        """
        return self.reduce(self.elements(pred, target), weight, avg_factor, reduction_override)

    def extra_repr(self) -> str:
        """The settings."""
        return f"reduction={self.reduction!r}, loss_weight={self.loss_weight}"


def check_same_shape(pred: torch.Tensor, target: torch.Tensor) -> None:
    """Hold a target against its prediction.

    Raises:
        ValueError: the shapes differ, so that one would be broadcast to the other unasked.
    """
    if pred.shape != target.shape:
        raise ValueError(f"predictions {tuple(pred.shape)} and targets {tuple(target.shape)} have different shapes")

"""From a loss for each element to the number that is minimised."""

from __future__ import annotations

import torch

REDUCTIONS = ("none", "mean", "sum")
AvgFactor = float | torch.Tensor | None


def check_reduction(reduction: str) -> str:
    """Return a reduction's name.

    Raises:
        ValueError: it is none of `none`, `mean` and `sum`.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is none of {REDUCTIONS}")
    return reduction


def reduce_loss(loss: torch.Tensor, reduction: str) -> torch.Tensor:
    """Return a loss of any shape as it is (`none`), or its `mean` or `sum`; the mean of nothing is 0."""
    check_reduction(reduction)
    if reduction == "none":
        return loss
    if reduction == "sum" or loss.numel() == 0:
        return loss.sum()
    return loss.mean()


def weight_reduce_loss(
    loss: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    reduction: str = "mean",
    avg_factor: AvgFactor = None,
) -> torch.Tensor:
    """Weigh a loss element by element, then reduce it.

    Args:
        loss: Any shape.
        weight: A shape that broadcasts to the loss's, counted from the left: one weight per row is (N,).
        reduction: `none`, `mean` or `sum`.
        avg_factor: What the sum is divided by instead of the number of elements.

    Raises:
        ValueError: an `avg_factor` with the reduction `sum`, or more dimensions of weights than of losses.
    """
    if weight is not None:
        if weight.ndim > loss.ndim:
            raise ValueError(f"weights {tuple(weight.shape)} have more dimensions than losses {tuple(loss.shape)}")
        loss = loss * weight.to(loss).reshape(*weight.shape, *(1,) * (loss.ndim - weight.ndim))
    if avg_factor is None or check_reduction(reduction) == "none":
        return reduce_loss(loss, reduction)
    if reduction == "sum":
        raise ValueError("avg_factor divides a mean; it does not go with reduction='sum'")
    tiny = torch.finfo(torch.float32).eps  # an average over no elements at all is 0, not NaN
    return loss.sum() / (avg_factor + tiny)

"""Focal losses: cross entropy in which well-classified examples count little (Lin et al., arXiv:1708.02002).

Shapes: N examples, C classes, * any dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.ops.boxes import full_precision
from visuite.engine.registry import MODELS

REDUCTIONS = ("none", "mean", "sum")


def binary_focal_loss(
    input: torch.Tensor, target: torch.Tensor, gamma: float = 2.0, alpha: float | torch.Tensor = 0.25
) -> torch.Tensor:
    """Focal loss of each number by itself, in float32 at least.

    A target t between 0 and 1 is a mixture: with p the prediction, `(alpha t + (1 - alpha)(1 - t)) q^gamma CE(p, t)`,
    where q = p (1 - t) + (1 - p) t is what the prediction misses.

    Args:
        input: Logits (*).
        target: (*), booleans or probabilities.
        gamma: How fast the loss of good predictions falls off.
        alpha: Weight of positives, negatives weighing 1 - alpha; a number or a tensor that broadcasts.

    Returns:
        (*).
    """
    logits = full_precision(input)
    # the power of q is taken by its logarithm, which has a finite gradient everywhere
    if target.dtype == torch.bool:
        wrong = torch.where(target, -logits, logits)
        cost = F.softplus(wrong)
        focal = torch.exp(gamma * (wrong - cost)) * cost  # wrong - cost is log(sigmoid(wrong))
        return torch.where(target, alpha * focal, (1 - alpha) * focal)
    share = target.to(logits)
    cost = F.binary_cross_entropy_with_logits(logits, share, reduction="none")
    missing = torch.logaddexp(F.logsigmoid(logits) + torch.log1p(-share), F.logsigmoid(-logits) + share.log())
    return (alpha * share + (1 - alpha) * (1 - share)) * torch.exp(gamma * missing) * cost


def sigmoid_focal_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """Focal loss of the sigmoid of each class by itself, in float32 at least.

    Args:
        input: Logits (N, C).
        target: Classes (N,); any outside of 0..C-1 is background.
        gamma: How fast the loss of good predictions falls off.
        alpha: Weight of the positive class; negative ones weigh 1 - alpha.
        weight: (C,), of the examples of each class; background weighs 1.
        reduction: `none`, `sum`, or `mean`, which divides by N.

    Returns:
        (N, C), or a scalar.

    Raises:
        ValueError: shapes that do not go together, or an unknown reduction.
    """
    _check(input, target, weight, reduction)
    loss = binary_focal_loss(input, target[:, None] == torch.arange(input.shape[1], device=target.device), gamma, alpha)
    if weight is not None:
        loss = loss * _example_weight(weight, target, background=1.0)[:, None]
    return _reduce(loss, reduction)


def softmax_focal_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """Focal loss of the softmax, in float32 at least.

    Args:
        input: Logits (N, C).
        target: Classes (N,); an example of any outside of 0..C-1 costs nothing.
        gamma: How fast the loss of good predictions falls off.
        alpha: Multiplies the loss.
        weight: (C,), of the examples of each class.
        reduction: `none`, `sum`, or `mean`, which divides by N.

    Returns:
        (N,), or a scalar.

    Raises:
        ValueError: shapes that do not go together, or an unknown reduction.
    """
    _check(input, target, weight, reduction)
    known = (target >= 0) & (target < input.shape[1])
    cost = F.cross_entropy(full_precision(input), torch.where(known, target, 0), reduction="none")
    missing = (-torch.expm1(-cost)).clamp(min=torch.finfo(cost.dtype).tiny)  # a root of 0 has no gradient
    loss = alpha * missing**gamma * cost
    counts = known if weight is None else _example_weight(weight, target, background=0.0)
    return _reduce(loss * counts, reduction)


def _check(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, reduction: str) -> None:
    if logits.ndim != 2 or target.shape != logits.shape[:1]:
        shapes = f"{tuple(logits.shape)} and {tuple(target.shape)}"
        raise ValueError(f"logits and targets have shapes (N, C) and (N,), not {shapes}")
    if weight is not None and weight.shape != logits.shape[1:]:
        raise ValueError(f"weight has one number for each of {logits.shape[1]} classes, not {tuple(weight.shape)}")
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is none of {REDUCTIONS}")


def _example_weight(weight: torch.Tensor, target: torch.Tensor, background: float) -> torch.Tensor:
    """Look up the weight (N,) of each example's class (N,) in (C,)."""
    known = (target >= 0) & (target < len(weight))
    return torch.where(known, full_precision(weight)[torch.where(known, target, 0)], background)


def _reduce(loss: torch.Tensor, reduction: str) -> torch.Tensor:
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / max(loss.shape[0], 1)


class _FocalLoss(nn.Module):
    """The settings of both losses; `weight` is a buffer that no checkpoint holds."""

    weight: torch.Tensor | None

    def __init__(self, gamma: float, alpha: float, weight: torch.Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.gamma, self.alpha, self.reduction = gamma, alpha, reduction
        self.register_buffer("weight", weight, persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"gamma={self.gamma}, alpha={self.alpha}, reduction={self.reduction!r}"


@MODELS.register_module()
class SigmoidFocalLoss(_FocalLoss):
    """The layer of `sigmoid_focal_loss`."""

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) and classes (N,) to the loss."""
        return sigmoid_focal_loss(input, target, self.gamma, self.alpha, self.weight, self.reduction)


@MODELS.register_module()
class SoftmaxFocalLoss(_FocalLoss):
    """The layer of `softmax_focal_loss`."""

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) and classes (N,) to the loss."""
        return softmax_focal_loss(input, target, self.gamma, self.alpha, self.weight, self.reduction)

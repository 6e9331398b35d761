"""Tversky loss: dice loss in which misses and false alarms have weights of their own (Salehi et al., arXiv:1706.05721).

Shapes: B images, C classes, H rows, W columns.
"""

from __future__ import annotations

import torch

from visuite.cv.losses.base import WeightedLoss
from visuite.cv.losses.classification import ClassWeight, class_probabilities, load_class_weight, one_hot_targets
from visuite.cv.losses.reduce import AvgFactor
from visuite.engine.registry import MODELS


def tversky_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    valid: torch.Tensor | None = None,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
) -> torch.Tensor:
    """Return 1 - hits / (hits + alpha false alarms + beta misses) of each class of each image.

    Args:
        pred: Probabilities (B, C, H, W).
        target: (B, C, H, W), in [0, 1].
        valid: Pixels that count, (B, 1, H, W); by default all.
        alpha: Weight of false alarms.
        beta: Weight of misses.
        smooth: Added to numerator and denominator.

    Returns:
        (B, C).
    """
    t = target.to(pred)
    if valid is not None:
        pred, t = pred * valid, t * valid
    hits, predicted, true = ((x).flatten(2).sum(2) for x in (pred * t, pred, t))
    return 1 - (hits + smooth) / (hits + alpha * (predicted - hits) + beta * (true - hits) + smooth)


@MODELS.register_module()
class TverskyLoss(WeightedLoss):
    """Tversky loss (arXiv:1706.05721), the mean over the classes.

    Args:
        smooth: Added to numerator and denominator.
        class_weight: One weight per class: a list, a tensor, or a file that holds a list.
        loss_weight: Multiplies the result.
        ignore_index: The label whose pixels do not count; if it is one of 0..C-1, that class has no loss.
        alpha: Weight of false alarms.
        beta: Weight of misses.
        loss_name: The name under which a head logs it.
        reduction: `none`, `mean` or `sum`; over images.

    Raises:
        ValueError: alpha and beta do not add up to 1, or a wrong reduction.
    """

    def __init__(
        self,
        smooth: float = 1.0,
        class_weight: ClassWeight = None,
        *,
        loss_weight: float = 1.0,
        ignore_index: int = 255,
        alpha: float = 0.3,
        beta: float = 0.7,
        loss_name: str = "loss_tversky",
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, loss_weight)
        if abs(alpha + beta - 1) > 1e-6:
            raise ValueError(f"alpha and beta add up to 1, not {alpha} and {beta}")
        self.smooth = smooth
        self.class_weight = load_class_weight(class_weight)
        self.ignore_index = ignore_index
        self.alpha, self.beta = alpha, beta
        self.loss_name = loss_name

    def forward(
        self,
        pred: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
        *,
        ignore_index: int | None = None,
    ) -> torch.Tensor:
        """Return the loss.

        Args:
            pred: Logits (B, C, H, W); their softmax is compared, or with a single channel their sigmoid.
            target: Classes (B, H, W). With a single channel, 1 is the object.
            weight: (B,).
            avg_factor: What the sum is divided by.
            reduction_override: Used instead of the loss's own reduction.
            ignore_index: Used instead of the loss's own.
        """
        ignored = self.ignore_index if ignore_index is None else ignore_index
        channels = pred.shape[1]
        loss = tversky_loss(
            class_probabilities(pred),
            one_hot_targets(target, channels),
            (target != ignored).unsqueeze(1),
            alpha=self.alpha,
            beta=self.beta,
            smooth=self.smooth,
        )
        if self.class_weight is not None:
            loss = loss * loss.new_tensor(self.class_weight)
        counts = [c for c in range(channels) if c != ignored or channels == 1]
        return self.reduce(loss[:, counts].mean(1), weight, avg_factor, reduction_override)

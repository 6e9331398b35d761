"""Dice loss: how far two masks are from covering each other.

From V-Net (Milletari et al., arXiv:1606.04797).

Shapes: N masks or images, C classes, * further dimensions, such as rows and columns.
"""

from __future__ import annotations

import torch

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.losses.classification import class_probabilities, one_hot_targets
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


def dice_loss(pred: torch.Tensor, target: torch.Tensor, *, eps: float = 1e-3, naive_dice: bool = False) -> torch.Tensor:
    """Return 1 - 2 sum(p t) / (sum(p^2) + sum(t^2)) of each mask.

    Args:
        pred: Probabilities (N, *).
        target: (N, *), in [0, 1].
        eps: Added to both sums of squares, so that the loss of nothing is 1; with `naive_dice` added to numerator and
            denominator, so that it is 0.
        naive_dice: Sums in place of sums of squares.

    Returns:
        (N,), in float32 at least.

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(pred, target)
    p = full_precision(pred).flatten(1)
    t = target.to(p).flatten(1)
    both = 2 * (p * t).sum(1)
    if naive_dice:
        return 1 - (both + eps) / (p.sum(1) + t.sum(1) + eps)
    return 1 - both / (p.square().sum(1) + t.square().sum(1) + 2 * eps)


@MODELS.register_module()
class DiceLoss(WeightedLoss):
    """Dice loss (arXiv:1606.04797) of masks, or of maps of classes, where an image's classes make one sum.

    Args:
        use_sigmoid: Probabilities are sigmoids; otherwise softmax over dimension 1, if that has more than one channel.
        activate: Predictions are logits; otherwise probabilities.
        reduction: `none`, `mean` or `sum`; over masks or images.
        naive_dice: Sums in place of sums of squares in the denominator.
        loss_weight: Multiplies the result.
        ignore_index: The label that counts as no class; if it is one of 0..C-1, that class is left out.
        eps: See `dice_loss`.
        loss_name: The name under which a head logs it.
        mask_ignored: Leave pixels with the ignored label out of all sums. Otherwise they are background to every class,
            as they were to the models that are published.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        activate: bool = True,
        *,
        reduction: str = "mean",
        naive_dice: bool = False,
        loss_weight: float = 1.0,
        ignore_index: int | None = None,
        eps: float = 1e-3,
        loss_name: str = "loss_dice",
        mask_ignored: bool = False,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = use_sigmoid
        self.activate = activate
        self.naive_dice = naive_dice
        self.ignore_index = ignore_index
        self.eps = eps
        self.loss_name = loss_name
        self.mask_ignored = mask_ignored

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
            pred: Masks (N, *) or classes (N, C, *).
            target: The same shape, in [0, 1], or classes (N, *). With a single channel, 1 is the object.
            weight: (N,).
            avg_factor: What the sum is divided by.
            reduction_override: Used instead of the loss's own reduction.
            ignore_index: Used instead of the loss's own.

        Raises:
            ValueError: shapes that do not go together.
        """
        ignored = self.ignore_index if ignore_index is None else ignore_index
        p = class_probabilities(pred, use_sigmoid=self.use_sigmoid) if self.activate else full_precision(pred)
        if target.shape != pred.shape:
            p, target = self._of_classes(p, target, ignored)
        return self.reduce(
            dice_loss(p, target, eps=self.eps, naive_dice=self.naive_dice), weight, avg_factor, reduction_override
        )

    def _of_classes(
        self, probs: torch.Tensor, label: torch.Tensor, ignored: int | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return probabilities and targets (N, C, *), without what is ignored, of probabilities and labels (N, *)."""
        channels = probs.shape[1]
        target = one_hot_targets(label, channels)
        if ignored is None:
            return probs, target
        kept = (label != ignored).unsqueeze(1)
        others = [c for c in range(channels) if c != ignored or channels == 1]
        probs = probs * kept if self.mask_ignored else probs
        return probs[:, others], (target & kept)[:, others]

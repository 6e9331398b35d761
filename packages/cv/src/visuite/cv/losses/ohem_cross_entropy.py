"""Cross entropy of the hardest pixels (online hard example mining, Shrivastava et al., arXiv:1604.03540).

Shapes: B images, C classes, H rows, W columns.
"""

from __future__ import annotations

import torch

from visuite.cv.losses.base import WeightedLoss
from visuite.cv.losses.classification import ClassWeight, load_class_weight
from visuite.cv.losses.cross_entropy import cross_entropy
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


def hard_pixels(
    pred: torch.Tensor, target: torch.Tensor, *, thres: float, min_kept: int, ignore_index: int
) -> torch.Tensor:
    """Return which pixels are hard: their class has a probability below `thres`, or is among the lowest.

    Args:
        pred: Logits (B, C, H, W).
        target: Classes (B, H, W).
        thres: The probability.
        min_kept: How many of the batch are hard at least.
        ignore_index: The label whose pixels are not hard.

    Returns:
        (B, H, W) booleans.
    """
    with torch.no_grad():
        valid = target != ignore_index
        own = torch.where(valid, target, 0).unsqueeze(1)
        # an easier pixel than any stands for an ignored one, so that it is neither hard nor counted
        probs = torch.where(valid, full_precision(pred).softmax(1).gather(1, own).squeeze(1), 2.0)
        if probs.numel() <= min_kept:
            return valid
        return valid & (probs < probs.flatten().kthvalue(min_kept + 1).values.clamp(min=thres))


@MODELS.register_module()
class OhemCrossEntropy(WeightedLoss):
    """Mean cross entropy of hard pixels; see `hard_pixels`.

    Args:
        ignore_label: The label whose pixels cost nothing.
        thres: Pixels whose class has a probability below it are hard.
        min_kept: How many of the batch are hard at least.
        loss_weight: Multiplies the result.
        class_weight: One weight per class: a list, a tensor, or a file that holds a list.
        loss_name: The name under which a head logs it.
        reduction: `none`, `mean` or `sum`; the mean is over hard pixels.

    Raises:
        ValueError: a wrong reduction.
    """

    def __init__(
        self,
        ignore_label: int = 255,
        thres: float = 0.7,
        *,
        min_kept: int = 100000,
        loss_weight: float = 1.0,
        class_weight: ClassWeight = None,
        loss_name: str = "loss_ohem",
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.ignore_label = ignore_label
        self.thres = thres
        self.min_kept = min_kept
        self.class_weight = load_class_weight(class_weight)
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
            pred: Logits (B, C, H, W).
            target: Classes (B, H, W).
            weight: (B,) or (B, H, W).
            avg_factor: What the sum is divided by instead of the number of hard pixels.
            reduction_override: Used instead of the loss's own reduction.
            ignore_index: Used instead of `ignore_label`.
        """
        ignored = self.ignore_label if ignore_index is None else ignore_index
        hard = hard_pixels(pred, target, thres=self.thres, min_kept=self.min_kept, ignore_index=ignored)
        class_weight = None if self.class_weight is None else full_precision(pred).new_tensor(self.class_weight)
        loss = cross_entropy(pred, target, reduction="none", class_weight=class_weight, ignore_index=ignored)
        if avg_factor is None and (reduction_override or self.reduction) == "mean":
            avg_factor = hard.sum()
        return self.reduce(loss * hard, weight, avg_factor, reduction_override)

"""Focal loss of classes: single labels, several labels, and maps.

Shapes: N elements, C classes, * further dimensions, such as rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from visuite.cv.losses.base import WeightedLoss
from visuite.cv.losses.classification import (
    ClassWeight,
    along_classes,
    as_logits,
    load_class_weight,
    one_hot_targets,
    per_class,
    require_sigmoid,
)
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import binary_focal_loss
from visuite.engine.registry import MODELS


def focal_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | Sequence[float] = 0.25,
    activated: bool = False,
    ignore_index: int | None = None,
) -> torch.Tensor:
    """Focal loss of the sigmoid of each class by itself (arXiv:1708.02002), in float32 at least.

    Args:
        pred: Logits (N, C, *).
        target: Classes (N, *) or (N, 1, *), those outside 0..C-1 being background; or probabilities (N, C, *). In a map
            with a single channel, 1 is the object and 0 the background.
        gamma: How fast the loss of good predictions falls off.
        alpha: Weight of positives, negatives weighing 1 - alpha; one, or one per class.
        activated: `pred` are probabilities.
        ignore_index: The label whose elements cost nothing.

    Returns:
        (N, C, *).

    Raises:
        ValueError: shapes that do not go together.
    """
    logits = as_logits(pred, activated=activated)
    balance = alpha if isinstance(alpha, (int, float)) else along_classes(alpha, logits)
    if target.shape == pred.shape:
        hard = not target.is_floating_point()
        return binary_focal_loss(logits, target > 0 if hard else target, gamma, balance)
    label = target.squeeze(1) if target.ndim == pred.ndim and target.shape[1] == 1 else target
    if label.shape != (*pred.shape[:1], *pred.shape[2:]):
        raise ValueError(f"targets of {tuple(pred.shape)} are classes or of that shape, not {tuple(target.shape)}")
    loss = binary_focal_loss(logits, one_hot_targets(label, pred.shape[1]), gamma, balance)
    return loss if ignore_index is None else loss * (label != ignore_index).unsqueeze(1)


@MODELS.register_module()
class FocalLoss(WeightedLoss):
    """Focal loss (Lin et al., arXiv:1708.02002). The average is over all numbers, ignored ones too.

    Args:
        use_sigmoid: Must be true: there is no softmax form.
        gamma: How fast the loss of good predictions falls off.
        alpha: Weight of positives, negatives weighing 1 - alpha; one, or one per class. Segmentation says 0.5.
        reduction: `none`, `mean` or `sum`.
        class_weight: One weight per class: a list, a tensor, or a file that holds a list.
        loss_weight: Multiplies the result.
        activated: Predictions are probabilities, not logits.
        ignore_index: The label whose elements cost nothing.
        loss_name: The name under which a head logs it.

    Raises:
        ValueError: `use_sigmoid=False`, or a wrong reduction.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        *,
        alpha: float | Sequence[float] = 0.25,
        reduction: str = "mean",
        class_weight: ClassWeight = None,
        loss_weight: float = 1.0,
        activated: bool = False,
        ignore_index: int | None = None,
        loss_name: str = "loss_focal",
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = require_sigmoid(self, use_sigmoid)
        self.gamma, self.alpha = gamma, alpha
        self.class_weight = load_class_weight(class_weight)
        self.activated = activated
        self.ignore_index = ignore_index
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
        """Return the loss; see `focal_loss` for shapes.

        Args:
            pred: Logits (N, C, *).
            target: Classes (N, *), or probabilities (N, C, *).
            weight: (N,), (N, *) or (N, C, *).
            avg_factor: What the sum is divided by.
            reduction_override: Used instead of the loss's own reduction.
            ignore_index: Used instead of the loss's own.
        """
        loss = focal_loss(
            pred,
            target,
            gamma=self.gamma,
            alpha=self.alpha,
            activated=self.activated,
            ignore_index=self.ignore_index if ignore_index is None else ignore_index,
        )
        if self.class_weight is not None:
            loss = loss * along_classes(self.class_weight, loss)
        return self.reduce(loss, per_class(weight, loss), avg_factor, reduction_override)

"""Cross entropy in its forms: softmax, soft targets, sigmoid, and masks.

Shapes: N elements, C classes, * further dimensions, such as rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.losses.classification import (
    ClassWeight,
    along_classes,
    load_class_weight,
    one_hot_targets,
    per_class,
)
from visuite.cv.losses.reduce import AvgFactor, check_reduction, weight_reduce_loss
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS

IGNORE = -100


def cross_entropy(
    pred: torch.Tensor,
    label: torch.Tensor,
    *,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
    avg_factor: AvgFactor = None,
    class_weight: torch.Tensor | None = None,
    ignore_index: int | None = IGNORE,
    avg_non_ignore: bool = False,
    avg_class_weight: bool = False,
) -> torch.Tensor:
    """Cross entropy of the softmax with class indices.

    Args:
        pred: Logits (N, C, *).
        label: Classes (N, *).
        weight: (N, *), or (N,).
        reduction: See `weight_reduce_loss`, as `avg_factor`.
        avg_factor: See there.
        class_weight: (C,).
        ignore_index: The label whose elements cost nothing.
        avg_non_ignore: Average over the others only.
        avg_class_weight: Average by the class weights of the others, as torch does, if there are class weights.
    """
    ignored = IGNORE if ignore_index is None else ignore_index
    loss = F.cross_entropy(full_precision(pred), label, weight=class_weight, reduction="none", ignore_index=ignored)
    if avg_factor is None and reduction == "mean":
        valid = label != ignored
        if avg_class_weight and class_weight is not None:
            avg_factor = (class_weight[torch.where(valid, label, 0)] * valid).sum()
        elif avg_non_ignore:
            avg_factor = valid.sum()
    return weight_reduce_loss(loss, weight, reduction=reduction, avg_factor=avg_factor)


def soft_cross_entropy(
    pred: torch.Tensor,
    label: torch.Tensor,
    *,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
    avg_factor: AvgFactor = None,
    class_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross entropy of the softmax with a distribution over the classes.

    Args:
        pred: Logits (N, C).
        label: Probabilities (N, C).
        weight: (N,).
        reduction: See `weight_reduce_loss`, as `avg_factor`.
        avg_factor: See there.
        class_weight: (C,).
    """
    terms = -label * F.log_softmax(full_precision(pred), dim=-1)
    if class_weight is not None:
        terms = terms * class_weight
    return weight_reduce_loss(terms.sum(-1), weight, reduction=reduction, avg_factor=avg_factor)


def binary_cross_entropy(
    pred: torch.Tensor,
    label: torch.Tensor,
    *,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
    avg_factor: AvgFactor = None,
    class_weight: torch.Tensor | None = None,
    pos_weight: torch.Tensor | None = None,
    ignore_index: int | None = IGNORE,
    avg_non_ignore: bool = False,
) -> torch.Tensor:
    """Cross entropy of the sigmoid of each class by itself.

    Args:
        pred: Logits (N, C, *), or (N,) for a single class.
        label: Targets in [0, 1] of the same shape, or classes (N, *), of which those beyond C-1 are background. In a
            map with a single channel, 1 is the object and 0 the background.
        weight: (N, *) or the shape of the logits.
        reduction: See `weight_reduce_loss`, as `avg_factor`.
        avg_factor: See there.
        class_weight: (C,).
        pos_weight: (C,), the weight of positive targets.
        ignore_index: The label whose elements cost nothing, as those with negative labels.
        avg_non_ignore: Average over the others only.

    Raises:
        ValueError: a map with a single channel has labels beyond 0 and 1 that are not ignored.
    """
    pred = full_precision(pred)
    valid = (label >= 0) & (label != (IGNORE if ignore_index is None else ignore_index))
    target = label * valid
    if pred.ndim != label.ndim:
        if pred.shape[1] == 1 and pred.ndim > 2 and (target > 1).any():
            raise ValueError(f"one channel tells 1 from 0, but there is the label {int(target.max())}: ignore it?")
        target, valid = one_hot_targets(label, pred.shape[1]), valid.unsqueeze(1)
    loss = F.binary_cross_entropy_with_logits(
        pred,
        target.to(pred),
        weight=None if class_weight is None else along_classes(class_weight, pred),
        pos_weight=None if pos_weight is None else along_classes(pos_weight, pred),
        reduction="none",
    )
    if avg_factor is None and avg_non_ignore and reduction == "mean":
        avg_factor = valid.expand_as(loss).sum()
    return weight_reduce_loss(loss * valid, per_class(weight, loss), reduction=reduction, avg_factor=avg_factor)


def mask_cross_entropy(
    pred: torch.Tensor,
    target: torch.Tensor,
    label: torch.Tensor,
    *,
    class_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean binary cross entropy of the mask of each element's own class.

    Args:
        pred: Logits (N, C, H, W), C = 1 being a mask for any class.
        target: Masks (N, H, W).
        label: Classes (N,).
        class_weight: (C,).

    Returns:
        (1,).
    """
    pred = full_precision(pred)
    own = pred[:, 0] if pred.shape[1] == 1 else pred[torch.arange(len(pred), device=pred.device), label]
    if own.numel() == 0:
        return pred.sum().reshape(1) * 0
    weight = None if class_weight is None else class_weight[label][:, None, None]
    return F.binary_cross_entropy_with_logits(own, target.to(own), weight=weight)[None]


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """Cross entropy, in the form that the flags choose.

    Args:
        use_sigmoid: Each class by itself.
        use_mask: Masks of the elements' own classes.
        use_soft: Targets are distributions over the classes.
        reduction: `none`, `mean` or `sum`.
        class_weight: One weight per class: a list, a tensor, or a file that holds a list. A single number goes with
            `use_sigmoid`, and is another way to say `pos_weight`, as recipes of YOLOv5 do.
        pos_weight: With `use_sigmoid`: the weight of positive targets, one or one per class.
        ignore_index: The label whose elements cost nothing.
        loss_weight: Multiplies the result.
        loss_name: The name under which a head logs it.
        avg_non_ignore: Average over what is not ignored only.
        avg_class_weight: With softmax and `class_weight`: average by the elements' class weights, ignored ones weighing
            nothing, instead of by their number.

    Raises:
        ValueError: flags that exclude one another, a single class weight without `use_sigmoid` or beside `pos_weight`,
            or a wrong reduction.
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        *,
        use_soft: bool = False,
        reduction: str = "mean",
        class_weight: ClassWeight | float = None,
        pos_weight: float | Sequence[float] | None = None,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_ce",
        avg_non_ignore: bool = False,
        avg_class_weight: bool = False,
    ) -> None:
        super().__init__()
        if use_sigmoid + use_mask + use_soft > 1:
            raise ValueError("at most one of use_sigmoid, use_mask and use_soft")
        if pos_weight is not None and not use_sigmoid:
            raise ValueError("pos_weight goes with use_sigmoid=True")
        if isinstance(class_weight, (int, float)):
            if not use_sigmoid or pos_weight is not None:
                raise ValueError(f"class_weight={class_weight} is no weight per class: a number stands for pos_weight")
            pos_weight = float(class_weight)
            class_weight = None
        self.use_sigmoid, self.use_mask, self.use_soft = use_sigmoid, use_mask, use_soft
        self.reduction = check_reduction(reduction)
        self.class_weight = load_class_weight(class_weight)
        self.pos_weight = pos_weight
        self.ignore_index = ignore_index
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.avg_non_ignore = avg_non_ignore
        self.avg_class_weight = avg_class_weight

    def forward(
        self,
        cls_score: torch.Tensor,
        label: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
        *,
        ignore_index: int | None = None,
    ) -> torch.Tensor:
        """Return the loss; shapes as of the function that the flags choose.

        Args:
            cls_score: Logits.
            label: Targets; with `use_mask`, the masks.
            weight: Of the elements; with `use_mask`, their classes.
            avg_factor: What the sum is divided by.
            reduction_override: Used instead of the loss's own reduction.
            ignore_index: Used instead of the loss's own.

        Raises:
            TypeError: with `use_mask`, no classes are given.
        """
        cls_score = full_precision(cls_score)
        class_weight = None if self.class_weight is None else cls_score.new_tensor(self.class_weight)
        if self.use_mask:
            if weight is None:
                raise TypeError("with use_mask=True the third argument is the class of each mask")
            return self.loss_weight * mask_cross_entropy(cls_score, label, weight, class_weight=class_weight)
        shared: dict[str, Any] = {
            "weight": weight,
            "reduction": reduction_override or self.reduction,
            "avg_factor": avg_factor,
            "class_weight": class_weight,
        }
        if self.use_soft:
            return self.loss_weight * soft_cross_entropy(cls_score, label, **shared)
        shared["ignore_index"] = self.ignore_index if ignore_index is None else ignore_index
        shared["avg_non_ignore"] = self.avg_non_ignore
        if not self.use_sigmoid:
            shared["avg_class_weight"] = self.avg_class_weight
            return self.loss_weight * cross_entropy(cls_score, label, **shared)
        if self.pos_weight is not None:
            shared["pos_weight"] = cls_score.new_tensor(self.pos_weight)
        return self.loss_weight * binary_cross_entropy(cls_score, label, **shared)

"""Lovasz losses: a convex extension of the Jaccard loss of whole masks (Berman et al., arXiv:1705.08790).

Shapes: B images, C classes, H rows, W columns, P pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from visuite.cv.losses.base import WeightedLoss
from visuite.cv.losses.classification import ClassWeight, class_probabilities, load_class_weight, one_hot_targets
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS

LOSS_TYPES = ("multi_class", "binary")


def lovasz_extension(errors: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the Jaccard loss's Lovasz extension at the errors of each column.

    With the errors sorted from large to small, each is multiplied by what the loss of the mask gains when its pixel
    joins the wrong ones.

    Args:
        errors: (P, C), not negative.
        truth: (P, C), 1 where the pixel is in the mask.

    Returns:
        (C,); 0 where there are no pixels.
    """
    ordered, order = errors.sort(dim=0, descending=True)
    inside = truth.to(errors).gather(0, order)
    left = inside.sum(0) - inside.cumsum(0)  # of the mask, when all so far are wrong
    union = inside.sum(0) + (1 - inside).cumsum(0)
    loss = 1 - left / union
    gain = torch.cat((loss[:1], loss[1:] - loss[:-1]))
    return (ordered * gain).sum(0)


def lovasz_softmax(
    probs: torch.Tensor,
    label: torch.Tensor,
    *,
    classes: str | Sequence[int] = "present",
    class_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Lovasz loss of several classes.

    Args:
        probs: (P, C).
        label: Classes (P,).
        classes: Which are averaged: those `present` in the labels, `all`, or a list.
        class_weight: (C,).

    Returns:
        A scalar; 0 if no class counts.
    """
    truth = one_hot_targets(label, probs.shape[1])
    loss = lovasz_extension((truth.to(probs) - probs).abs(), truth)
    if class_weight is not None:
        loss = loss * class_weight
    counts = truth.any(0)
    if classes != "present":
        wanted = range(len(counts)) if isinstance(classes, str) else classes
        counts = torch.zeros_like(counts).index_fill(0, torch.tensor(list(wanted), device=counts.device), True)
    return (loss * counts).sum() / counts.sum().clamp(min=1)


def lovasz_hinge(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Lovasz loss of one mask: logits (P,) and labels (P,), 1 being the object, to a scalar."""
    inside = label > 0
    margin = torch.where(inside, 1 - logits, 1 + logits)
    return lovasz_extension(F.relu(margin).unsqueeze(1), inside.unsqueeze(1)).sum()


@MODELS.register_module()
class LovaszLoss(WeightedLoss):
    """Lovasz softmax and Lovasz hinge (arXiv:1705.08790).

    Args:
        loss_type: `multi_class`, over the softmax, or `binary`, over logits of one channel.
        classes: With `multi_class`: the classes `present`, `all`, or a list of classes is averaged over.
        per_image: Each image has a loss; otherwise the whole batch has one, to which no reduction applies.
        reduction: `none`, `mean` or `sum`; over images.
        class_weight: One weight per class: a list, a tensor, or a file that holds a list.
        loss_weight: Multiplies the result.
        loss_name: The name under which a head logs it.
        ignore_index: The label whose pixels do not count.

    Raises:
        ValueError: an unknown `loss_type`, `classes` or reduction.
    """

    def __init__(
        self,
        loss_type: str = "multi_class",
        classes: str | Sequence[int] = "present",
        *,
        per_image: bool = False,
        reduction: str = "mean",
        class_weight: ClassWeight = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_lovasz",
        ignore_index: int = 255,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if loss_type not in LOSS_TYPES:
            raise ValueError(f"loss_type {loss_type!r} is none of {LOSS_TYPES}")
        if isinstance(classes, str) and classes not in ("present", "all"):
            raise ValueError(f"classes are 'present', 'all' or a list, not {classes!r}")
        self.loss_type = loss_type
        self.classes = classes
        self.per_image = per_image
        self.class_weight = load_class_weight(class_weight)
        self.loss_name = loss_name
        self.ignore_index = ignore_index

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
            pred: Logits (B, C, H, W); with `binary`, (B, 1, H, W) or (B, H, W).
            target: Classes (B, H, W); with `binary`, 0 and 1.
            weight: (B,), with `per_image`.
            avg_factor: What the sum is divided by, with `per_image`.
            reduction_override: Used instead of the loss's own reduction.
            ignore_index: Used instead of the loss's own.

        Raises:
            ValueError: weights of pixels, which a loss of whole masks has no place for, or `binary` with more channels.
        """
        if weight is not None and (weight.ndim > 1 or not self.per_image):
            raise ValueError("a Lovasz loss takes one weight for each image, with per_image=True")
        ignored = self.ignore_index if ignore_index is None else ignore_index
        valid = target != ignored
        if not self.per_image:
            return self.loss_weight * self._of_mask(pred, target, valid)
        each = [self._of_mask(*one) for one in zip(pred.split(1), target.split(1), valid.split(1), strict=True)]
        return self.reduce(torch.stack(each) if each else pred.flatten(), weight, avg_factor, reduction_override)

    def _of_mask(self, pred: torch.Tensor, target: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Return the loss of the valid pixels of some images, taken together."""
        if self.loss_type == "binary":
            if pred.numel() != target.numel():
                raise ValueError(f"a binary loss has one channel, not predictions {tuple(pred.shape)}")
            return lovasz_hinge(full_precision(pred).reshape(target.shape)[valid], target[valid])
        probs = class_probabilities(pred).movedim(1, -1)[valid]
        class_weight = None if self.class_weight is None else probs.new_tensor(self.class_weight)
        return lovasz_softmax(probs, target[valid], classes=self.classes, class_weight=class_weight)

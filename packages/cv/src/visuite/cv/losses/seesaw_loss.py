"""Seesaw loss: cross entropy for classes of very different frequency (Wang et al., arXiv:2008.10032).

Shapes: N boxes, C classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from visuite.cv.losses.accuracy import accuracy
from visuite.cv.losses.base import WeightedLoss
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


def seesaw_loss(
    pred: torch.Tensor,
    label: torch.Tensor,
    cum_samples: torch.Tensor,
    *,
    p: float = 0.8,
    q: float = 2.0,
    eps: float = 1e-2,
) -> torch.Tensor:
    """Cross entropy in which a class pushes others down by factors.

    Mitigation: by (n_j / n_i)^p a class i pushes a rarer class j less. Compensation: by (s_j / s_i)^q it pushes a class
    j more that has a higher score.

    Args:
        pred: Logits (N, C).
        label: Classes (N,).
        cum_samples: How many samples of each class there were, (C,).
        p: Of mitigation; 0 for none.
        q: Of compensation; 0 for none.
        eps: The least score s_i that is divided by.

    Returns:
        (N,), in float32 at least.
    """
    logits = full_precision(pred)
    own = label.unsqueeze(1)
    counts = cum_samples.to(logits).clamp(min=1)
    log_factor = p * (counts.log() - counts.log()[own]).clamp(max=0)
    if q > 0:
        scores = logits.detach().softmax(1)
        ratio = scores / scores.gather(1, own).clamp(min=eps)
        log_factor = log_factor + q * ratio.clamp(min=1).log()
    return F.cross_entropy(logits + log_factor.scatter(1, own, 0), label, reduction="none")


@MODELS.register_module()
class SeesawLoss(WeightedLoss):
    """Seesaw loss (arXiv:2008.10032) beside a score of its own for whether there is an object at all.

    Scores are (N, C + 2): the classes, object, background. A box head asks `get_cls_channels`, `get_activation` and
    `get_accuracy`, since `custom_cls_channels`, `custom_activation` and `custom_accuracy` are set. How many samples of
    each class there were, `cum_samples` (C + 1,), is part of the state.

    Args:
        use_sigmoid: Must be false.
        p: Of mitigation; 0 for none.
        q: Of compensation; 0 for none.
        num_classes: C.
        eps: The least score that is divided by.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
        return_dict: Return both losses by name; otherwise their sum.

    Raises:
        ValueError: `use_sigmoid=True`, or a wrong reduction.
    """

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True
    cum_samples: torch.Tensor

    def __init__(
        self,
        use_sigmoid: bool = False,
        p: float = 0.8,
        *,
        q: float = 2.0,
        num_classes: int = 1203,
        eps: float = 1e-2,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        return_dict: bool = True,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if use_sigmoid:
            raise ValueError("a seesaw loss is defined for the softmax: use_sigmoid=False")
        self.use_sigmoid = use_sigmoid
        self.p, self.q = p, q
        self.num_classes = num_classes
        self.eps = eps
        self.return_dict = return_dict
        self.register_buffer("cum_samples", torch.zeros(num_classes + 1))

    def get_cls_channels(self, num_classes: int) -> int:
        """Return C + 2.

        Raises:
            ValueError: the head has another number of classes.
        """
        if num_classes != self.num_classes:
            raise ValueError(f"the loss was made for {self.num_classes} classes, the head has {num_classes}")
        return num_classes + 2

    def get_activation(self, cls_score: torch.Tensor) -> torch.Tensor:
        """Turn scores (N, C + 2) into probabilities (N, C + 1), background last."""
        classes, objectness = (part.softmax(-1) for part in self._split(cls_score))
        return torch.cat((classes * objectness[..., :1], objectness[..., 1:]), dim=-1)

    def get_accuracy(self, cls_score: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return, in percent, how often object or not is right, and how often the class of an object is.

        Args:
            cls_score: (N, C + 2).
            labels: (N,), C being background.
        """
        classes, objectness = self._split(cls_score)
        found = labels < self.num_classes
        return {
            "acc_objectness": accuracy(objectness, (~found).long()),
            "acc_classes": accuracy(classes[found], labels[found]),
        }

    def forward(  # type: ignore[override]  # two losses by name
        self,
        pred: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return `loss_cls_objectness` and `loss_cls_classes`, or their sum.

        Args:
            pred: Scores (N, C + 2).
            target: Classes (N,), C being background.
            weight: (N,).
            avg_factor: What the sums are divided by.
            reduction_override: Used instead of the loss's own reduction.
        """
        classes, objectness = self._split(full_precision(pred))
        found = target < self.num_classes
        self.cum_samples += torch.bincount(target, minlength=self.num_classes + 1)
        of_classes = seesaw_loss(classes[found], target[found], self.cum_samples[:-1], p=self.p, q=self.q, eps=self.eps)
        of_objectness = F.cross_entropy(objectness, (~found).long(), reduction="none")
        losses = {
            "loss_cls_objectness": self.reduce(of_objectness, weight, avg_factor, reduction_override),
            "loss_cls_classes": self.reduce(
                of_classes, None if weight is None else weight[found], avg_factor, reduction_override
            ),
        }
        return losses if self.return_dict else losses["loss_cls_objectness"] + losses["loss_cls_classes"]

    def _split(self, cls_score: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if cls_score.shape[-1] != self.num_classes + 2:
            raise ValueError(f"scores have {self.num_classes} + 2 channels, not {cls_score.shape[-1]}")
        return cls_score[..., :-2], cls_score[..., -2:]

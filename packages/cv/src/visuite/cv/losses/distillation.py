"""Learning from another model's scores (Hinton et al., arXiv:1503.02531).

Shapes: N elements, C classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS


@MODELS.register_module()
class KnowledgeDistillationKLDivLoss(WeightedLoss):
    """Divergence of softened scores from a teacher's, averaged over the classes, times the temperature's square.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
        T: The temperature, at least 1: scores are divided by it.

    Raises:
        ValueError: a temperature below 1, or a wrong reduction.
    """

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0, *, T: float = 10) -> None:
        super().__init__(reduction, loss_weight)
        if T < 1:
            raise ValueError(f"the temperature T is at least 1, not {T}")
        self.T = T

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) and the teacher's logits (N, C), which get no gradient, to (N,)."""
        check_same_shape(pred, target)
        student = (full_precision(pred) / self.T).log_softmax(1)
        teacher = (full_precision(target.detach()) / self.T).log_softmax(1)
        return F.kl_div(student, teacher, reduction="none", log_target=True).mean(1) * self.T**2

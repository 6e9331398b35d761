"""Targets that leave some probability to the other classes.

Shapes: N images, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.losses.cross_entropy import CrossEntropyLoss
from visuite.cv.losses.reduce import AvgFactor
from visuite.engine.registry import MODELS

_MODES = ("original", "classy_vision", "multi_label")


@MODELS.register_module()
class LabelSmoothLoss(nn.Module):
    """Cross entropy with smoothed targets (Szegedy et al., arXiv:1512.00567).

    With e the smoothing and y the target of a class, it learns from `(1 - e) y + e / C` (`original`),
    `(y + e / C) / (1 + e)` (`classy_vision`), or e and 1 - e in place of 0 and 1 (`multi_label`).

    Args:
        label_smooth_val: e.
        num_classes: C; by default that of the scores.
        use_sigmoid: Each class by itself; by default in `multi_label` mode only.
        mode: `original`, `classy_vision` or `multi_label`.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
        class_weight: One weight per class.
        pos_weight: With `use_sigmoid`, the weight of positive targets.

    Raises:
        ValueError: e is not in [0, 1), or an unknown mode.
    """

    def __init__(
        self,
        label_smooth_val: float,
        num_classes: int | None = None,
        *,
        use_sigmoid: bool | None = None,
        mode: str = "original",
        reduction: str = "mean",
        loss_weight: float = 1.0,
        class_weight: Sequence[float] | None = None,
        pos_weight: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smooth_val < 1:
            raise ValueError(f"label_smooth_val is in [0, 1), not {label_smooth_val}")
        if mode not in _MODES:
            raise ValueError(f"mode {mode!r} is none of {_MODES}")
        self.num_classes = num_classes
        self.label_smooth_val = label_smooth_val
        self.mode = mode
        sigmoid = mode == "multi_label" if use_sigmoid is None else use_sigmoid
        self.ce = CrossEntropyLoss(
            use_sigmoid=sigmoid,
            use_soft=not sigmoid,
            reduction=reduction,
            loss_weight=loss_weight,
            class_weight=class_weight,
            pos_weight=pos_weight,
        )

    def smooth(self, label: torch.Tensor, num_classes: int) -> torch.Tensor:
        """Return smoothed targets (N, C) of classes (N,) or targets (N, C)."""
        target = F.one_hot(label, num_classes).float() if label.ndim == 1 else label.float()
        e = self.label_smooth_val
        if self.mode == "original":
            return target * (1 - e) + e / num_classes
        if self.mode == "classy_vision":
            return (target + e / num_classes) / (1 + e)
        return torch.where(target > 0, 1 - e, e)

    def forward(
        self,
        cls_score: torch.Tensor,
        label: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor:
        """Return the loss of scores (N, C) with classes (N,) or targets (N, C).

        Raises:
            ValueError: the scores have another number of classes than the loss was told.
        """
        classes = cls_score.shape[1]
        if self.num_classes not in (None, classes):
            raise ValueError(f"num_classes is {self.num_classes}, but the scores have {classes} classes")
        target = self.smooth(label, classes)
        return self.ce(cls_score, target, weight, avg_factor=avg_factor, reduction_override=reduction_override)

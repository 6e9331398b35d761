"""What a classifier learns from and says about one image.

Shapes: K classes, n labels of an image (one, unless it may have several).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from visuite.engine.structures import BaseDataElement

Labels = int | Sequence[int] | np.ndarray | torch.Tensor
Scores = Sequence[float] | np.ndarray | torch.Tensor


class DataSample(BaseDataElement):
    """One image's truth and prediction.

    Fields:
        gt_label: (n,) long.
        gt_score: (K,) float, a soft or multi-hot truth.
        pred_label: (n,) long.
        pred_score: (K,) float.

    `num_classes` stands among the meta information once a score has been set.
    """

    gt_label: torch.Tensor
    gt_score: torch.Tensor
    pred_label: torch.Tensor
    pred_score: torch.Tensor

    def set_gt_label(self, value: Labels) -> Self:
        """Set the true class, or several."""
        return self._set("gt_label", format_label(value))

    def set_pred_label(self, value: Labels) -> Self:
        """Set the predicted class, or several."""
        return self._set("pred_label", format_label(value))

    def set_gt_score(self, value: Scores) -> Self:
        """Set a true distribution over the classes, (K,)."""
        return self._set("gt_score", self._checked(format_score(value)))

    def set_pred_score(self, value: Scores) -> Self:
        """Set the predicted distribution over the classes, (K,)."""
        return self._set("pred_score", self._checked(format_score(value)))

    def _set(self, name: str, value: torch.Tensor) -> Self:
        self.set_field(value, name, dtype=torch.Tensor)
        return self

    def _checked(self, score: torch.Tensor) -> torch.Tensor:
        """Hold a score against the number of classes, or learn it.

        Raises:
            ValueError: an earlier score had another number of classes.
        """
        known = self.get("num_classes")
        if known is None:
            self.set_field(len(score), "num_classes", field_type="metainfo")
        elif known != len(score):
            raise ValueError(f"a score over {len(score)} classes, where {known} are known")
        return score


def format_label(value: Labels) -> torch.Tensor:
    """Return one label or several as (n,) long.

    Raises:
        TypeError: they are no integers.
        ValueError: they are no flat list.
    """
    if isinstance(value, str) or not isinstance(value, (int, Sequence, np.ndarray, np.integer, torch.Tensor)):
        raise TypeError(f"a label is an integer or several, not {value!r} ({type(value).__name__})")
    label = torch.as_tensor(value)
    if label.numel() and (label.is_floating_point() or label.is_complex()):
        raise TypeError(f"labels are integers, not {label.dtype}")
    if label.ndim > 1:
        raise ValueError(f"the labels of an image are a flat list, not of shape {tuple(label.shape)}")
    return label.reshape(-1).long()


def format_score(value: Scores) -> torch.Tensor:
    """Return scores as (K,) float.

    Raises:
        TypeError: they are no sequence of numbers.
        ValueError: they are no flat list.
    """
    if isinstance(value, str) or not isinstance(value, (Sequence, np.ndarray, torch.Tensor)):
        raise TypeError(f"scores are a sequence of numbers, not {value!r} ({type(value).__name__})")
    score = torch.as_tensor(value).float()
    if score.ndim != 1:
        raise ValueError(f"the scores of an image are one per class, not of shape {tuple(score.shape)}")
    return score


def one_hot(sample: DataSample, num_classes: int) -> torch.Tensor:
    """Return a sample's truth as (K,) float: its `gt_score`, or ones at its labels.

    Raises:
        ValueError: a label is not below `num_classes`, or the sample has no truth.
    """
    score: Any = sample.get("gt_score")
    if score is not None:
        return score
    label = sample.get("gt_label")
    if label is None:
        raise ValueError("a sample has neither gt_label nor gt_score")
    if label.numel() and int(label.max()) >= num_classes:
        raise ValueError(f"label {int(label.max())} among {num_classes} classes: is num_classes right?")
    return torch.zeros(num_classes, device=label.device).index_fill_(0, label, 1.0)

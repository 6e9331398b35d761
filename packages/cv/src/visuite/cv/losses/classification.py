"""What losses over classes share: one-hot targets, class weights, logits of probabilities.

Shapes: N elements, C classes, * further dimensions, such as rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from visuite.cv.ops import full_precision
from visuite.engine.fileio import load

ClassWeight = Sequence[float] | torch.Tensor | str | None


def load_class_weight(class_weight: ClassWeight) -> list[float] | None:
    """Return one weight per class as a list, from a list, a tensor or a file (.npy or what `fileio.load` reads)."""
    if isinstance(class_weight, str):
        read = np.load if class_weight.endswith(".npy") else load
        class_weight = read(class_weight)
    return None if class_weight is None else [float(value) for value in class_weight]


def one_hot_targets(label: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Return booleans (N, C, *): which class each element of labels (N, *) has; a label outside 0..C-1 is none.

    A map with a single channel (C = 1 and dimensions beyond N) tells the object, label 1, from the background, 0.
    """
    if num_classes == 1 and label.ndim > 1:
        return label.unsqueeze(1) == 1
    classes = torch.arange(num_classes, device=label.device).reshape(1, -1, *(1,) * (label.ndim - 1))
    return label.unsqueeze(1) == classes


def per_class(weight: torch.Tensor | None, loss: torch.Tensor) -> torch.Tensor | None:
    """Return weights (N,), (N, *) or (N, C, *) so that they broadcast, counted from the left, to losses (N, C, *)."""
    return weight.unsqueeze(1) if weight is not None and 1 < weight.ndim < loss.ndim else weight


def along_classes(values: Sequence[float] | torch.Tensor, pred: torch.Tensor) -> torch.Tensor:
    """Return values of classes (C,) in the shape (C, 1, ...) that broadcasts to predictions (N, C, *)."""
    return torch.as_tensor(values, dtype=pred.dtype, device=pred.device).reshape(-1, *(1,) * (pred.ndim - 2))


def as_logits(pred: torch.Tensor, *, activated: bool = True) -> torch.Tensor:
    """Return finite logits of probabilities (logits stay, if not `activated`), in float32 at least."""
    pred = full_precision(pred)
    limits = torch.finfo(pred.dtype)
    return torch.logit(pred.clamp(limits.tiny, 1 - limits.eps)) if activated else pred


def require_sigmoid(loss: object, use_sigmoid: bool) -> bool:
    """Return an argument that all configs name, for a loss that has one form only.

    Raises:
        ValueError: `use_sigmoid` is false.
    """
    if not use_sigmoid:
        raise ValueError(f"{type(loss).__name__} is defined for sigmoids: use_sigmoid=True")
    return use_sigmoid


def class_probabilities(pred: torch.Tensor, *, use_sigmoid: bool = False) -> torch.Tensor:
    """Return probabilities of logits (N, C, *), in float32 at least: softmax over the classes, or else sigmoids.

    A single channel has sigmoids always, and so have logits without a dimension of classes (N,).
    """
    logits = full_precision(pred)
    return logits.sigmoid() if use_sigmoid or logits.ndim < 2 or logits.shape[1] == 1 else logits.softmax(1)

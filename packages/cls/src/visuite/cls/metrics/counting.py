"""Precision and its kin, from counts.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

ITEMS = ("precision", "recall", "f1-score", "support")
AVERAGES = ("macro", "micro", None)


class Rates(NamedTuple):
    """Rates in percent, and how many images truly bear the class; (K,) without an average, else single numbers."""

    precision: torch.Tensor
    recall: torch.Tensor
    f1_score: torch.Tensor
    support: torch.Tensor

    def named(self, items: Sequence[str], average: str | None, tail: str = "") -> dict[str, Any]:
        """Return the chosen items under their names: `precision`, `precision_micro`, `precision_classwise`, ..."""
        kind = {"macro": "", "micro": "_micro", None: "_classwise"}[average]
        values = dict(zip(ITEMS, self, strict=True))
        return {f"{item}{tail}{kind}": values[item].tolist() for item in ITEMS if item in items}


def rates(predicted: torch.Tensor, true: torch.Tensor, average: str | None = "macro") -> Rates:
    """Return precision, recall and F1 score; what would be a division by nothing is 0.

    Args:
        predicted: Which classes each image is said to have, (N, K) bool.
        true: Which it has, (N, K) bool.
        average: `macro`: the mean over classes; `micro`: of all decisions together; None: by class.
    """
    counts = [(predicted & true).sum(0), predicted.sum(0), true.sum(0)]
    hits, said, had = (count.sum() if average == "micro" else count for count in counts)
    precision = 100 * hits / said.clamp(min=1)
    recall = 100 * hits / had.clamp(min=1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=torch.finfo(precision.dtype).eps)
    if average == "macro":
        precision, recall, f1, had = precision.mean(), recall.mean(), f1.mean(), had.sum()
    return Rates(precision, recall, f1, had)


def check_items(owner: str, items: Sequence[str], average: str | None) -> tuple[str, ...]:
    """Return the items as a tuple.

    Raises:
        ValueError: an unknown item or average.
    """
    chosen = (items,) if isinstance(items, str) else tuple(items)
    unknown = [item for item in chosen if item not in ITEMS]
    if unknown:
        raise ValueError(f"{owner} has no item {unknown[0]!r}, only {list(ITEMS)}")
    if average not in AVERAGES:
        raise ValueError(f"{owner}: average is 'macro', 'micro' or None, not {average!r}")
    return chosen


def multi_hot(labels: torch.Tensor | Sequence[Any], num_classes: int) -> torch.Tensor:
    """Return classes (N,), several for each image, or rows (N, K) already so, as (N, K) bool.

    Raises:
        ValueError: a class is not below `num_classes`.
    """
    if isinstance(labels, torch.Tensor) and labels.ndim == 2:
        return labels > 0
    hot = torch.zeros(len(labels), num_classes, dtype=torch.bool)
    for row, of_image in zip(hot, labels, strict=True):
        which = torch.as_tensor(of_image).reshape(-1).long()
        if which.numel() and int(which.max()) >= num_classes:
            raise ValueError(f"class {int(which.max())} among {num_classes}: is num_classes right?")
        row[which] = True
    return hot


def scores_or_labels(sample: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return what a sample's prediction is: its `pred_score` (K,), or else its `pred_label` (n,)."""
    key = "pred_score" if sample.get("pred_score") is not None else "pred_label"
    return {key: torch.as_tensor(sample[key]).detach().cpu()}

"""How often the truth is among the best scores.

Shapes: N elements, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import nn


@overload
def accuracy(
    pred: torch.Tensor, target: torch.Tensor, *, topk: int = 1, thresh: float | None = None
) -> torch.Tensor: ...
@overload
def accuracy(
    pred: torch.Tensor, target: torch.Tensor, *, topk: Sequence[int], thresh: float | None = None
) -> list[torch.Tensor]: ...
def accuracy(
    pred: torch.Tensor, target: torch.Tensor, *, topk: int | Sequence[int] = 1, thresh: float | None = None
) -> torch.Tensor | list[torch.Tensor]:
    """Return the share of elements, in percent, whose class is among the k best scores.

    Args:
        pred: Scores (N, C).
        target: Classes (N,).
        topk: k, or several.
        thresh: Scores that do not exceed it do not count.

    Returns:
        A tensor (1,) for each k; 0 when there are no elements.
    """
    found = hits(pred, target, max_k=topk if isinstance(topk, int) else max(topk), thresh=thresh)
    percent = [100.0 * found[:, :k].any(1).float().sum().reshape(1) / max(len(found), 1) for k in _as_list(topk)]
    return percent[0] if isinstance(topk, int) else percent


def hits(pred: torch.Tensor, target: torch.Tensor, *, max_k: int, thresh: float | None = None) -> torch.Tensor:
    """Return (N, max_k) booleans: whether the k-th best class of scores (N, C) is the target (N,).

    Raises:
        ValueError: there are fewer than `max_k` classes, or the lengths differ.
    """
    if max_k > pred.shape[1]:
        raise ValueError(f"top-{max_k} needs that many classes, the scores have {pred.shape[1]}")
    if len(pred) != len(target):
        raise ValueError(f"{len(pred)} predictions for {len(target)} targets")
    scores, classes = pred.topk(max_k, dim=1)
    found = classes == target.reshape(-1, 1)
    return found if thresh is None else found & (scores > thresh)


class Accuracy(nn.Module):
    """The function `accuracy` as a module.

    Args:
        topk: See there.
        thresh: See there.
    """

    def __init__(self, topk: int | Sequence[int] = (1,), thresh: float | None = None) -> None:
        super().__init__()
        self.topk = topk
        self.thresh = thresh

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Compare scores (N, C) with classes (N,)."""
        return accuracy(pred, target, topk=self.topk, thresh=self.thresh)


def _as_list(topk: int | Sequence[int]) -> Sequence[int]:
    return (topk,) if isinstance(topk, int) else topk

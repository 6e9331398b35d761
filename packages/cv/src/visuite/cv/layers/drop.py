"""Dropping whole paths of a network at random."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.engine.registry import MODELS


def drop_path(x: torch.Tensor, drop_prob: float = 0.0, training: bool = False) -> torch.Tensor:
    """Zero each sample of (B, ...) with a chance of `drop_prob`, and scale the others so that the mean stays."""
    if drop_prob == 0.0 or not training:
        return x
    keep = 1.0 - drop_prob
    mask = x.new_empty(x.shape[0], *(1,) * (x.ndim - 1)).bernoulli_(keep)
    return x * (mask / keep if keep > 0 else mask)


@MODELS.register_module()
class DropPath(nn.Module):
    """Drop the residual path of some samples while training (stochastic depth, Huang et al., 2016).

    Args:
        drop_prob: The chance of a sample to lose its path.
    """

    def __init__(self, drop_prob: float = 0.1) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, ...) to the same shape."""
        return drop_path(x, self.drop_prob, self.training)

    def extra_repr(self) -> str:
        """The chance."""
        return f"drop_prob={self.drop_prob}"


@MODELS.register_module()
class Dropout(nn.Dropout):
    """`torch.nn.Dropout` under the name of its chance that configs use.

    Args:
        drop_prob: The chance of an element to be zeroed.
        inplace: Write into the input.
    """

    def __init__(self, drop_prob: float = 0.5, inplace: bool = False) -> None:
        super().__init__(p=drop_prob, inplace=inplace)


def build_dropout(cfg: dict[str, Any]) -> nn.Module:
    """Build `DropPath` or `Dropout` from a config."""
    return MODELS.build(cfg)

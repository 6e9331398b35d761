"""Dropping whole paths of a network, or parts of its maps, at random."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.logging import MessageHub
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


@MODELS.register_module()
class DropBlock(nn.Module):
    """Zero squares of a map while training, and scale the rest so that the mean stays (arXiv:1810.12890).

    Args:
        drop_prob: About the part of a map that is zeroed.
        block_size: Side of the squares, odd; less in maps that are smaller.
        warmup_iters: In so many iterations the part grows evenly from none. Without a run that tells its iteration, the
            layer counts its own calls.

    Raises:
        ValueError: an even side, or a part outside of 0 to 1.
    """

    def __init__(self, drop_prob: float, block_size: int, warmup_iters: int = 2000) -> None:
        super().__init__()
        if block_size % 2 == 0:
            raise ValueError(f"block_size of DropBlock is odd, not {block_size}")
        if not 0 <= drop_prob < 1:
            raise ValueError(f"drop_prob of DropBlock lies in 0 to 1, not {drop_prob}")
        self.drop_prob, self.block_size, self.warmup_iters = drop_prob, block_size, warmup_iters
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        if not self.training or self.drop_prob == 0:
            return x
        shortest = min(x.shape[2:])
        side = min(self.block_size, shortest - (1 - shortest % 2))
        height, width = (edge - side + 1 for edge in x.shape[2:])
        # Centres lie where the whole square is inside; each drops side^2 pixels.
        chance = self._part() * x[0, 0].numel() / (side**2 * height * width)
        centres = x.new_empty(*x.shape[:2], height, width).bernoulli_(min(chance, 1.0))
        kept = 1 - F.max_pool2d(F.pad(centres, (side // 2,) * 4), side, stride=1, padding=side // 2)
        return x * kept * (kept.numel() / kept.sum().clamp(min=1))

    def _part(self) -> float:
        iteration = MessageHub.get_current_instance().get_info("iter")
        now = self.calls if iteration is None else iteration
        self.calls += 1
        return self.drop_prob * (min(now / self.warmup_iters, 1.0) if self.warmup_iters else 1.0)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"drop_prob={self.drop_prob}, block_size={self.block_size}, warmup_iters={self.warmup_iters}"


def build_dropout(cfg: dict[str, Any]) -> nn.Module:
    """Build `DropPath` or `Dropout` from a config."""
    return MODELS.build(cfg)

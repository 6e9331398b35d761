"""Generalised mean pooling.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from visuite.cls.registry import MODELS


@MODELS.register_module()
class GeneralizedMeanPooling(nn.Module):
    """The generalised mean of each channel over all places, mean(x^p)^(1/p) (Radenovic et al., arXiv:1711.02512).

    Args:
        p: 1 is the mean; the larger it is, the nearer comes the largest value.
        eps: The least value, as roots of negative ones do not exist.
        clamp: Raise smaller values to it.
        p_trainable: Learn `p`.

    Raises:
        ValueError: `p` is less than 1.
    """

    #: Whoever checks channels at build time may look through this neck.
    keeps_channels = True

    def __init__(self, p: float = 3.0, eps: float = 1e-6, *, clamp: bool = True, p_trainable: bool = True) -> None:
        super().__init__()
        if p < 1:
            raise ValueError(f"GeneralizedMeanPooling: p is at least 1, not {p}")
        self.p = nn.Parameter(torch.ones(1) * p, requires_grad=p_trainable)
        self.eps = eps
        self.clamp = clamp

    def forward(self, inputs: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """(B, C, H, W) to (B, C), of one map or of each."""
        if isinstance(inputs, torch.Tensor):
            return self._pool(inputs)
        return tuple(self._pool(one) for one in inputs)

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clamp(min=self.eps) if self.clamp else x
        return x.pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)

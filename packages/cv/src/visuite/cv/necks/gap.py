"""Pooling maps to vectors.

Shapes: B images, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from visuite.engine.registry import MODELS


@MODELS.register_module()
class GlobalAveragePooling(nn.Module):
    """The mean of each channel over all positions.

    Args:
        dim: How many dimensions of position there are: 1, 2 or 3.

    Raises:
        ValueError: `dim` is none of these.
    """

    #: Whoever checks channels at build time may look through this neck.
    keeps_channels = True

    def __init__(self, dim: int = 2) -> None:
        super().__init__()
        if dim not in (1, 2, 3):
            raise ValueError(f"GlobalAveragePooling works over 1, 2 or 3 dimensions, not {dim}")
        self.dim = dim

    def forward(self, inputs: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """(B, C, H, W) to (B, C), of one map or of each."""
        if isinstance(inputs, torch.Tensor):
            return self._pool(inputs)
        return tuple(self._pool(one) for one in inputs)

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=tuple(range(-self.dim, 0))).flatten(1)

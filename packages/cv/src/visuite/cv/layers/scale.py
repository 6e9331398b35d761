"""Factors that are learnt.

Shapes: C channels.
"""

from __future__ import annotations

import torch
from torch import nn


class Scale(nn.Module):
    """One factor for everything.

    Args:
        scale: Where it starts.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape to the same."""
        return x * self.scale


class LayerScale(nn.Module):
    """One factor for each channel, small at first, so that deep residual networks start near identity.

    From Touvron et al., arXiv:2103.17239.

    Args:
        dim: C.
        scale: Where the factors start.
        inplace: Write into the input.
        data_format: `channels_last` for (..., C), `channels_first` for (B, C, ...).

    Raises:
        ValueError: another data format.
    """

    def __init__(
        self, dim: int, scale: float = 1e-5, *, inplace: bool = False, data_format: str = "channels_last"
    ) -> None:
        super().__init__()
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(f"data_format is 'channels_last' or 'channels_first', not {data_format!r}")
        self.inplace = inplace
        self.data_format = data_format
        self.weight = nn.Parameter(torch.full((dim,), float(scale)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same shape."""
        first = self.data_format == "channels_first"
        weight = self.weight.view(-1, *(1,) * (x.ndim - 2)) if first else self.weight
        return x.mul_(weight) if self.inplace else x * weight

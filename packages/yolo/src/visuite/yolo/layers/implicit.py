"""Learned vectors beside the features: implicit knowledge (YOLOR, Wang et al., arXiv:2105.04206).

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import nn

from visuite.yolo.registry import MODELS


@MODELS.register_module()
class ImplicitA(nn.Module):
    """Add a learned number to each channel. Name of the parameter: implicit, (1, C, 1, 1).

    Args:
        in_channels: C.
        mean: Mean of the numbers at the start.
        std: Their standard deviation.
    """

    def __init__(self, in_channels: int, mean: float = 0.0, std: float = 0.02) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.empty(1, in_channels, 1, 1).normal_(mean, std))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        return x + self.implicit


@MODELS.register_module()
class ImplicitM(nn.Module):
    """Multiply each channel by a learned number. Name of the parameter: implicit, (1, C, 1, 1).

    Args:
        in_channels: C.
        mean: Mean of the numbers at the start.
        std: Their standard deviation.
    """

    def __init__(self, in_channels: int, mean: float = 1.0, std: float = 0.02) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.empty(1, in_channels, 1, 1).normal_(mean, std))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        return x * self.implicit

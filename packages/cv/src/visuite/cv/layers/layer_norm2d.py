"""Norms over the channels of maps.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.registry import MODELS


@MODELS.register_module(name=["LN2d", "LayerNorm2d"])
class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each pixel.

    Args:
        num_channels: C.
        eps: Added to the variance.
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__(num_channels, eps=eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


@MODELS.register_module()
class GRN(nn.Module):
    """Global response norm: each channel in proportion to its norm over the map (arXiv:2301.00808).

    Args:
        in_channels: C.
        eps: Added to the mean of the norms.
    """

    def __init__(self, in_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.zeros(in_channels))
        self.beta = nn.Parameter(torch.zeros(in_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) to the same shape."""
        response = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        share = response / (response.mean(-1, keepdim=True) + self.eps)
        return torch.addcmul(self.beta, self.gamma * share + 1, x)

"""Criss-cross attention: each pixel attends to those of its row and column (Huang et al., CCNet, arXiv:1811.11721).

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import nn

from visuite.engine.registry import MODELS


@MODELS.register_module()
class CrissCrossAttention(nn.Module):
    """Add to each pixel what it gathers from its row and column, times a learned number that begins at 0.

    Done twice, every pixel has heard of every other.

    Args:
        in_channels: Channels C; queries and keys have an eighth of them.

    Raises:
        ValueError: fewer than 8 channels.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels < 8:
            raise ValueError(f"criss-cross attention needs at least 8 channels, not {in_channels}")
        compared = in_channels // 8
        self.query_conv, self.key_conv = (nn.Conv2d(in_channels, compared, kernel_size=1) for _ in range(2))
        self.value_conv = nn.Conv2d(in_channels, in_channels, kernel_size=1)
        self.gamma = nn.ParameterDict({"scale": torch.tensor(0.0)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        height = x.shape[2]
        in_column = torch.einsum("bchw,bcgw->bhwg", query, key)
        in_row = torch.einsum("bchw,bchv->bhwv", query, key)
        # the pixel itself stands in both; it counts once, in its row
        row = torch.arange(height, device=x.device)
        itself = (row[:, None] == row)[:, None]
        in_column = in_column.masked_fill(itself, float("-inf"))
        weights = torch.cat((in_column, in_row), dim=-1).softmax(dim=-1).to(value.dtype)
        column, row = weights.split((height, x.shape[3]), dim=-1)
        gathered = torch.einsum("bhwg,bcgw->bchw", column, value) + torch.einsum("bhwv,bchv->bchw", row, value)
        return x + self.gamma["scale"] * gathered

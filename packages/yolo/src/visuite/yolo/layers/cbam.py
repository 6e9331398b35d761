"""Attention that is plugged in behind the stages of a backbone.

Shapes: B images, C channels, M channels of the narrow layer, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule, build_activation_layer
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class CBAM(nn.Module):
    """Weigh channels by what the whole map holds, then places by what their channels hold (arXiv:1807.06521).

    Both look at means and maxima. Names of parameters: channel_attention.0.conv, channel_attention.1.conv,
    spatial_attention.conv.

    Args:
        in_channels: C.
        reduce_ratio: C in M.
        kernel_size: Of the convolution that weighs places, odd.
        act_cfg: Config of the activation that makes weights.

    Raises:
        ValueError: an even `kernel_size`.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        reduce_ratio: int = 16,
        kernel_size: int = 7,
        act_cfg: Mapping[str, Any] = {"type": "Sigmoid"},
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size of CBAM is odd, not {kernel_size}")
        narrow = max(in_channels // reduce_ratio, 1)
        self.channel_attention = nn.Sequential(
            ConvModule(in_channels, narrow, 1, bias=False), ConvModule(narrow, in_channels, 1, bias=False, act_cfg=None)
        )
        self.spatial_attention = ConvModule(2, 1, kernel_size, padding=kernel_size // 2, bias=False, act_cfg=None)
        self.act = build_activation_layer(dict(act_cfg))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        means, maxima = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = x * self.act(self.channel_attention(means) + self.channel_attention(maxima))
        places = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)
        return x * self.act(self.spatial_attention(places))

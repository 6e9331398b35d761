"""Attention refinement.

Shapes: B images, I channels in, K channels out, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import nn

from visuite.seg.layers.conv_options import ConvOptions


class AttentionRefinementModule(nn.Module):
    """A convolution whose channels are weighed by what the whole map holds (BiSeNet, arXiv:1808.00897).

    Names of parameters: conv_layer.conv, atten_conv_layer.1.conv.

    Args:
        in_channels: I.
        out_channels: K.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.conv_layer = options.conv(in_channels, out_channels, 3)
        self.atten_conv_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), options.conv(out_channels, out_channels, bias=False, act_cfg=None), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, H, W)."""
        x = self.conv_layer(x)
        return x * self.atten_conv_layer(x)

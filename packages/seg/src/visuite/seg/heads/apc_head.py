"""The head of APCNet.

Shapes: B images, I channels of the map, C channels of features, h rows, w columns, N = h * w, s cells in each
direction.

Names of parameters: acm_modules.<scale>.{pooled_redu_conv,input_redu_conv,global_info,residual_conv,fusion_conv}.conv,
acm_modules.<scale>.gla, bottleneck.conv, conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import CellPooling, ConvOptions
from visuite.seg.registry import MODELS


class ACM(nn.Module):
    """Adaptive context: each pixel weighs the cells of the map by itself and by what the whole map holds.

    Args:
        pool_scale: s.
        in_channels: I.
        channels: C.
        fusion: Have a last convolution.
        options: Of the convolutions.
    """

    def __init__(self, pool_scale: int, in_channels: int, *, channels: int, fusion: bool, options: ConvOptions) -> None:
        super().__init__()
        self.pool = CellPooling(pool_scale)
        self.pooled_redu_conv = options.conv(in_channels, channels)
        self.input_redu_conv = options.conv(in_channels, channels)
        self.global_info = options.conv(channels, channels)
        self.gla = nn.Conv2d(channels, pool_scale**2, 1)
        self.residual_conv = options.conv(channels, channels)
        self.fusion_conv = options.conv(channels, channels) if fusion else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, h, w) to (B, C, h, w)."""
        cells = self.pooled_redu_conv(self.pool(x)).flatten(2)  # (B, C, s * s)
        x = self.input_redu_conv(x)
        weights = self.gla(x + self.global_info(x.mean((2, 3), keepdim=True))).sigmoid().flatten(2)  # (B, s * s, N)
        found = (cells @ weights).unflatten(2, x.shape[2:])
        return self.fusion_conv((self.residual_conv(found) + x).relu())


@MODELS.register_module()
class APCHead(BaseDecodeHead):
    """Adaptive context of several scales, side by side (He et al., CVPR 2019, "Adaptive Pyramid Context Network").

    Args:
        pool_scales: s of each.
        fusion: Have a last convolution in each.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, pool_scales: Sequence[int] = (1, 2, 3, 6), fusion: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.acm_modules = nn.ModuleList(
            ACM(scale, self.in_channels, channels=self.channels, fusion=fusion, options=self.options)
            for scale in pool_scales
        )
        self.bottleneck = self.conv(self.in_channels + len(pool_scales) * self.channels, self.channels, 3)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self._transform_inputs(inputs)
        return self.bottleneck(torch.cat([x, *(module(x) for module in self.acm_modules)], dim=1))

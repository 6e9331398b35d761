"""The head of DMNet.

Shapes: B images, I channels of the map, C channels of features, h rows, w columns, k the filter's size.

Names of parameters: dcm_modules.<size>.filter_gen_conv, .{input_redu_conv,fusion_conv}.conv, .norm, bottleneck.conv,
conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import CellPooling, ConvOptions
from visuite.seg.registry import MODELS


class DCM(nn.Module):
    """A depthwise convolution whose filters are made of the image itself.

    Args:
        filter_size: k.
        in_channels: I.
        channels: C.
        fusion: Have a last convolution.
        options: Of the convolutions.
    """

    def __init__(
        self, filter_size: int, in_channels: int, *, channels: int, fusion: bool, options: ConvOptions
    ) -> None:
        super().__init__()
        self.filter_size = filter_size
        self.pool = CellPooling(filter_size)
        self.filter_gen_conv = nn.Conv2d(in_channels, channels, 1)
        self.input_redu_conv = options.conv(in_channels, channels)
        self.norm = options.norm(channels)
        self.activate = options.act()
        self.fusion_conv = options.conv(channels, channels) if fusion else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, h, w) to (B, C, h, w)."""
        filters = self.filter_gen_conv(self.pool(x))  # (B, C, k, k)
        x = self.input_redu_conv(x)
        after = (self.filter_size - 1) // 2
        before = self.filter_size - 1 - after
        padded = F.pad(x, (before, after, before, after)).flatten(0, 1)[None]
        out = F.conv2d(padded, filters.flatten(0, 1)[:, None], groups=padded.shape[1])[0].unflatten(0, x.shape[:2])
        return self.fusion_conv(self.activate(self.norm(out)))


@MODELS.register_module()
class DMHead(BaseDecodeHead):
    """Dynamic filters of several sizes, side by side (He et al., ICCV 2019, "Dynamic Multi-Scale Filters").

    Args:
        filter_sizes: k of each.
        fusion: Have a last convolution in each.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, filter_sizes: Sequence[int] = (1, 3, 5, 7), fusion: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dcm_modules = nn.ModuleList(
            DCM(size, self.in_channels, channels=self.channels, fusion=fusion, options=self.options)
            for size in filter_sizes
        )
        self.bottleneck = self.conv(self.in_channels + len(filter_sizes) * self.channels, self.channels, 3)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self._transform_inputs(inputs)
        return self.bottleneck(torch.cat([x, *(module(x) for module in self.dcm_modules)], dim=1))

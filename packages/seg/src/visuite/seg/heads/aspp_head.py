"""The heads of DeepLabV3 and DeepLabV3+.

Shapes: B images, I channels of the map, C channels of features, h rows, w columns; of the fine map J channels, H rows,
W columns.

Names of parameters: image_pool.1.conv, aspp_modules.<branch>.conv, bottleneck.conv, conv_seg; of DeepLabV3+ also
aspp_modules.<branch>.depthwise_conv.conv, .pointwise_conv.conv, c1_bottleneck.conv, sep_bottleneck.0, sep_bottleneck.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import resize_like
from visuite.seg.registry import MODELS


@MODELS.register_module()
class ASPPHead(BaseDecodeHead):
    """Atrous spatial pyramid pooling: convolutions of several dilations (Chen et al., DeepLabV3, arXiv:1706.05587).

    Args:
        dilations: Of each branch; 1 is a 1x1 convolution.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, dilations: Sequence[int] = (1, 6, 12, 18), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dilations = tuple(dilations)
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), self.conv(self.in_channels, self.channels))
        self.aspp_modules = nn.ModuleList(self.make_branch(dilation) for dilation in dilations)
        self.bottleneck = self.conv((len(dilations) + 1) * self.channels, self.channels, 3)

    def make_branch(self, dilation: int) -> nn.Module:
        """Make the branch of a dilation."""
        return self.conv(self.in_channels, self.channels, 1 if dilation == 1 else 3, dilation=dilation)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self._transform_inputs(inputs)
        pooled = resize_like(self.image_pool(x), x, align_corners=self.align_corners)
        return self.bottleneck(torch.cat([pooled, *(branch(x) for branch in self.aspp_modules)], dim=1))


@MODELS.register_module()
class DepthwiseSeparableASPPHead(ASPPHead):
    """`ASPPHead` with depthwise separable convolutions, and a look at a finer map (DeepLabV3+, arXiv:1802.02611).

    Args:
        c1_in_channels: J, of the first of all maps; 0 leaves it out.
        c1_channels: What it is reduced to.
        **kwargs: As of `ASPPHead`.
    """

    def __init__(self, *, c1_in_channels: int, c1_channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.c1_bottleneck = self.conv(c1_in_channels, c1_channels) if c1_in_channels > 0 else None
        both = self.channels + (c1_channels if c1_in_channels > 0 else 0)
        self.sep_bottleneck = nn.Sequential(
            self.options.separable_conv(both, self.channels), self.options.separable_conv(self.channels, self.channels)
        )

    def make_branch(self, dilation: int) -> nn.Module:
        """Make the branch of a dilation."""
        if dilation == 1:
            return super().make_branch(dilation)
        return self.options.separable_conv(self.in_channels, self.channels, dilation=dilation)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, H, W) that pixels are classified by; without a fine map (B, C, h, w)."""
        out = super().forward_feature(inputs)
        if self.c1_bottleneck is not None:
            fine = self.c1_bottleneck(inputs[0])
            out = torch.cat([resize_like(out, fine, align_corners=self.align_corners), fine], dim=1)
        return self.sep_bottleneck(out)

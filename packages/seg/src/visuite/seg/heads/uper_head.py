"""The head of UPerNet.

Shapes: B images, n maps of I_i channels, h_i rows and w_i columns, fine to coarse, C channels of features.

Names of parameters: psp_modules.<level>.1.conv, bottleneck.conv, lateral_convs.<map>.conv, fpn_convs.<map>.conv,
fpn_bottleneck.conv, conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import PPM, resize_concat, resize_like
from visuite.seg.registry import MODELS


@MODELS.register_module()
class UPerHead(BaseDecodeHead):
    """Pyramid pooling of the coarsest map on top of a feature pyramid (Xiao et al., arXiv:1807.10221).

    Args:
        pool_scales: Cells in each direction, of each pooling level.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs: Any) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        coarsest = self.map_channels[-1]
        self.psp_modules = PPM(
            pool_scales, coarsest, self.channels, options=self.options, align_corners=self.align_corners
        )
        self.bottleneck = self.conv(coarsest + len(pool_scales) * self.channels, self.channels, 3)
        finer = self.map_channels[:-1]
        self.lateral_convs = nn.ModuleList(self.conv(wide, self.channels, inplace=False) for wide in finer)
        self.fpn_convs = nn.ModuleList(self.conv(self.channels, self.channels, 3, inplace=False) for _ in finer)
        self.fpn_bottleneck = self.conv(len(self.map_channels) * self.channels, self.channels, 3)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h_0, w_0) that pixels are classified by."""
        maps = self._transform_inputs(inputs)
        top = self.bottleneck(torch.cat([maps[-1], *self.psp_modules(maps[-1])], dim=1))
        levels = [lateral(x) for lateral, x in zip(self.lateral_convs, maps, strict=False)] + [top]
        for fine in range(len(levels) - 2, -1, -1):
            above = resize_like(levels[fine + 1], levels[fine], align_corners=self.align_corners)
            levels[fine] = levels[fine] + above
        out = [conv(x) for conv, x in zip(self.fpn_convs, levels, strict=False)] + [top]
        return self.fpn_bottleneck(resize_concat(out, align_corners=self.align_corners))

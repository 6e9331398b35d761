"""The head of SegFormer.

Shapes: B images, n maps of I_i channels, h_i rows and w_i columns, fine to coarse, C channels of features.

Names of parameters: convs.<map>.conv, fusion_conv.conv, conv_seg.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import resize_concat
from visuite.seg.registry import MODELS


@MODELS.register_module()
class SegformerHead(BaseDecodeHead):
    """One linear layer for each map, and one for all of them side by side (Xie et al., arXiv:2105.15203).

    Args:
        interpolate_mode: How coarse maps are enlarged.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, interpolate_mode: str = "bilinear", **kwargs: Any) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        self.interpolate_mode = interpolate_mode
        self.convs = nn.ModuleList(self.conv(wide, self.channels) for wide in self.map_channels)
        self.fusion_conv = self.conv(len(self.map_channels) * self.channels, self.channels)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h_0, w_0) that pixels are classified by."""
        maps = [conv(x) for conv, x in zip(self.convs, self._transform_inputs(inputs), strict=True)]
        return self.fusion_conv(resize_concat(maps, mode=self.interpolate_mode, align_corners=self.align_corners))

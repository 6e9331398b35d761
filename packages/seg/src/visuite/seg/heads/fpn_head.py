"""The head of semantic FPN.

Shapes: B images, n maps of I_i channels and stride s_i, C channels of features, h and w of the finest map.

Names of parameters: scale_heads.<map>.<0, 2, ...>.conv, conv_seg.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import Upsample, resize_like
from visuite.seg.registry import MODELS


@MODELS.register_module()
class FPNHead(BaseDecodeHead):
    """Each map is enlarged twofold at a time, with a convolution before each; then all are added (arXiv:1901.02446).

    Args:
        feature_strides: s_i, the first the least.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: as many strides as maps are not given, or a smaller one than the first.
    """

    def __init__(self, *, feature_strides: Sequence[int], **kwargs: Any) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        if len(feature_strides) != len(self.map_channels) or min(feature_strides) != feature_strides[0]:
            count = len(self.map_channels)
            raise ValueError(f"feature_strides is one for each of {count} maps, the least first, not {feature_strides}")
        self.feature_strides = tuple(feature_strides)
        self.scale_heads = nn.ModuleList(
            self._scale_head(wide, stride) for wide, stride in zip(self.map_channels, feature_strides, strict=True)
        )

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        maps = self._transform_inputs(inputs)
        out = self.scale_heads[0](maps[0])
        for head, x in zip(self.scale_heads[1:], maps[1:], strict=True):
            out = out + resize_like(head(x), out, align_corners=self.align_corners)
        return out

    def _scale_head(self, in_channels: int, stride: int) -> nn.Sequential:
        doublings = int(math.log2(stride) - math.log2(self.feature_strides[0]))
        layers: list[nn.Module] = []
        for index in range(max(1, doublings)):
            layers.append(self.conv(self.channels if index else in_channels, self.channels, 3))
            if doublings:
                layers.append(Upsample(2, align_corners=self.align_corners))
        return nn.Sequential(*layers)

"""The head of MobileNetV3.

Shapes: B images, n + 1 maps of I_i channels, h_i rows and w_i columns, fine to coarse, C channels of features.

Names of parameters: convs.conv<map>, conv_ups.conv_up<map>.conv, conv_up_input, aspp_conv.conv, image_pool.1.conv,
conv_seg.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import resize_like
from visuite.seg.registry import MODELS


class LargePooling(nn.Module):
    """Means of large cells; a map smaller than a cell is one.

    Args:
        kernel_size: Rows and columns of a cell.
        stride: Rows and columns from one cell to the next.
    """

    def __init__(self, kernel_size: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, C, h', w')."""
        kernel = (min(self.kernel_size[0], x.shape[2]), min(self.kernel_size[1], x.shape[3]))
        return F.avg_pool2d(x, kernel, self.stride)


@MODELS.register_module()
class LRASPPHead(BaseDecodeHead):
    """Lite atrous spatial pyramid pooling: the coarsest map weighed by means of itself (arXiv:1905.02244).

    Args:
        branch_channels: What each finer map is reduced to.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: there are not as many finer maps.
    """

    def __init__(self, *, branch_channels: Sequence[int] = (32, 64), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.input_transform != "multiple_select" or len(self.map_channels) != len(branch_channels) + 1:
            raise ValueError(
                f"LRASPPHead with branch_channels {tuple(branch_channels)} takes {len(branch_channels) + 1} maps, "
                f"and input_transform='multiple_select'; it has {len(self.map_channels)}"
            )
        finer = list(zip(self.map_channels, branch_channels, strict=False))
        self.convs = nn.Sequential(
            OrderedDict((f"conv{i}", nn.Conv2d(wide, branch, 1, bias=False)) for i, (wide, branch) in enumerate(finer))
        )
        self.conv_ups = nn.Sequential(
            OrderedDict(
                (f"conv_up{i}", self.conv(self.channels + branch, self.channels, bias=False))
                for i, (_, branch) in enumerate(finer)
            )
        )
        self.conv_up_input = nn.Conv2d(self.channels, self.channels, 1)
        self.aspp_conv = self.conv(self.map_channels[-1], self.channels, bias=False)
        # The means of 49 x 49 pixels and these strides are the paper's, for maps of 64 x 128.
        gate = self.conv(self.map_channels[-1], self.channels, norm_cfg=None, act_cfg={"type": "Sigmoid"}, bias=False)
        self.image_pool = nn.Sequential(LargePooling((49, 49), (16, 20)), gate)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h_0, w_0) that pixels are classified by."""
        *finer, x = self._transform_inputs(inputs)
        gate = resize_like(self.image_pool(x), x, align_corners=self.align_corners)
        x = self.conv_up_input(self.aspp_conv(x) * gate)
        for conv, conv_up, fine in reversed(list(zip(self.convs, self.conv_ups, finer, strict=True))):
            x = conv_up(torch.cat([resize_like(x, fine, align_corners=self.align_corners), conv(fine)], dim=1))
        return x

"""Fully convolutional heads.

Shapes: B images, I channels of the map, C channels of features, h rows, w columns.

Names of parameters: convs.0.conv, convs.0.bn, ..., conv_cat.conv, conv_cat.bn, conv_seg.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers.conv_options import Cfg
from visuite.seg.registry import MODELS


@MODELS.register_module()
class FCNHead(BaseDecodeHead):
    """Convolutions, and one more of what came in and what came out (Long et al., FCN, arXiv:1411.4038).

    Heads that put something between the first convolution and the others write `context`.

    Args:
        num_convs: How many convolutions there are before the last; none is allowed.
        kernel_size: Of each.
        concat_input: Have that last convolution.
        dilation: Of each but the last.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: fewer than no convolutions, or none where I is not C.
    """

    def __init__(
        self,
        *,
        num_convs: int = 2,
        kernel_size: int = 3,
        concat_input: bool = True,
        dilation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_convs < 0:
            raise ValueError(f"num_convs is at least 0, not {num_convs}")
        if num_convs == 0 and self.in_channels != self.channels:
            raise ValueError(
                f"without convolutions in_channels {self.in_channels} would have to be channels {self.channels}"
            )
        self.num_convs = num_convs
        self.kernel_size = kernel_size
        self.concat_input = concat_input
        widths = [self.in_channels] + [self.channels] * num_convs
        self.convs = nn.Sequential(
            *(self.make_conv(wide, self.channels, kernel_size, dilation=dilation) for wide in widths[:-1])
        )
        if concat_input:
            self.conv_cat = self.make_conv(self.in_channels + self.channels, self.channels, kernel_size)

    def make_conv(self, in_channels: int, out_channels: int, kernel_size: int, **kwargs: Any) -> nn.Module:
        """Make one of the convolutions."""
        return self.conv(in_channels, out_channels, kernel_size, **kwargs)

    def context(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the first convolution found, (B, C, h, w), told of the whole map."""
        return x

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self._transform_inputs(inputs)
        out = self.context(self.convs[:1](x))
        out = self.convs[1:](out)
        return self.conv_cat(torch.cat([x, out], dim=1)) if self.concat_input else out


@MODELS.register_module()
class DepthwiseSeparableFCNHead(FCNHead):
    """`FCNHead` with depthwise separable convolutions (Fast-SCNN, arXiv:1902.04502).

    Args:
        dw_act_cfg: Activation behind the depthwise parts; None is none.
        **kwargs: As of `FCNHead`.
    """

    def __init__(self, *, dw_act_cfg: Cfg | None = None, **kwargs: Any) -> None:
        self._dw_act_cfg = dw_act_cfg  # before the rest: the convolutions are made with it
        super().__init__(**kwargs)

    def make_conv(self, in_channels: int, out_channels: int, kernel_size: int, **kwargs: Any) -> nn.Module:
        """Make one of the convolutions."""
        kwargs["dw_act_cfg"] = self._dw_act_cfg
        return self.options.separable_conv(in_channels, out_channels, kernel_size, **kwargs)

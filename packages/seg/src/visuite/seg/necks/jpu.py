"""Joint pyramid upsampling.

Shapes: B images, C_i channels of the i-th map, M channels inside, d dilations, h and w of the finest map that is
joined.

Names of parameters: conv_layers.<map>.conv, dilation_layers.<dilation>.{depthwise_conv,pointwise_conv}.conv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.necks.base import Neck
from visuite.seg.layers import ConvOptions, resize_concat
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS


@MODELS.register_module()
class JPU(Neck):
    """What a dilated backbone would see, from the maps of one that strides (Wu et al., FastFCN, arXiv:1903.11816).

    All but the coarsest of the joined maps are handed on as they are; in its place comes the joint (B, d * M, h, w).

    Args:
        in_channels: C_i.
        mid_channels: M.
        start_level: The first map that is joined.
        end_level: The map behind the last one that is joined; -1 joins to the end.
        dilations: Of the separable convolutions, side by side.
        align_corners: How coarse maps are enlarged.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: levels that do not exist.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 1024, 2048),
        mid_channels: int = 512,
        *,
        start_level: int = 0,
        end_level: int = -1,
        dilations: Sequence[int] = (1, 2, 4, 8),
        align_corners: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        end = len(in_channels) if end_level == -1 else end_level
        if not 0 <= start_level < end <= len(in_channels):
            raise ValueError(f"levels {start_level} to {end_level} are not among {len(in_channels)} maps")
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        self.in_channels = tuple(in_channels)
        self.levels = slice(start_level, end)
        joined = self.in_channels[self.levels]
        self.align_corners = align_corners
        self.conv_layers = nn.ModuleList(options.conv(wide, mid_channels, 3) for wide in joined)
        self.dilation_layers = nn.ModuleList(
            options.separable_conv(len(joined) * mid_channels, mid_channels, dilation=dilation, dw_act_cfg=None)
            for dilation in dilations
        )
        self.out_channels = (*joined[:-1], len(dilations) * mid_channels)

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        joined = tuple(in_strides[self.levels])
        return (*joined[:-1], joined[0])

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, h_i, w_i) to those that the class tells of."""
        self.check_maps(inputs)
        joined = list(inputs[self.levels])
        maps = [conv(x) for conv, x in zip(self.conv_layers, joined, strict=True)]
        together = resize_concat(maps, align_corners=self.align_corners)
        return (*joined[:-1], torch.cat([layer(together) for layer in self.dilation_layers], dim=1))

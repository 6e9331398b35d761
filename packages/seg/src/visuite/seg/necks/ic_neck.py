"""The neck of ICNet.

Shapes: B images, C_i channels of the i-th map, K channels out, h_i rows, w_i columns, fine to coarse.

Names of parameters: cff_24.{conv_low,conv_high}.conv, cff_12.{conv_low,conv_high}.conv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.necks.base import Neck
from visuite.seg.layers import ConvOptions, resize_like
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS


class CascadeFeatureFusion(nn.Module):
    """A coarse map, enlarged and convolved, added to a fine one.

    Args:
        low_channels: Of the coarse map.
        high_channels: Of the fine one.
        out_channels: K.
        options: Of the convolutions.
        align_corners: How the coarse map is enlarged.
    """

    def __init__(
        self, low_channels: int, high_channels: int, *, out_channels: int, options: ConvOptions, align_corners: bool
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.conv_low = options.conv(low_channels, out_channels, 3, dilation=2)
        self.conv_high = options.conv(high_channels, out_channels)

    def forward(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum (B, K, h, w), and what became of the coarse map (B, K, h, w)."""
        low = self.conv_low(resize_like(low, high, align_corners=self.align_corners))
        return (low + self.conv_high(high)).relu(), low


@MODELS.register_module()
class ICNeck(Neck):
    """Fuse the coarsest map with the next, and both with the finest (Zhao et al., arXiv:1704.08545).

    It hands out three maps: what heads learn from beside, at the second and the first size, and the fused one.

    Args:
        in_channels: C_i of three maps.
        out_channels: K.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        align_corners: How coarse maps are enlarged.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: there are not three maps.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 256, 256),
        out_channels: int = 128,
        *,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        align_corners: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != 3:
            raise ValueError(f"ICNeck fuses three maps, not {len(in_channels)}")
        self.in_channels = tuple(in_channels)
        self.out_channels = (out_channels,) * 3
        fine, middle, coarse = in_channels
        shared: dict[str, Any] = {
            "out_channels": out_channels,
            "options": ConvOptions(conv_cfg, norm_cfg, act_cfg),
            "align_corners": align_corners,
        }
        self.cff_24 = CascadeFeatureFusion(coarse, middle, **shared)
        self.cff_12 = CascadeFeatureFusion(out_channels, fine, **shared)

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        return in_strides[1], in_strides[0], in_strides[0]

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Three maps (B, C_i, h_i, w_i) to three of K channels, as the class says."""
        self.check_maps(inputs)
        fine, middle, coarse = inputs
        fused, from_coarse = self.cff_24(coarse, middle)
        fused, from_middle = self.cff_12(fused, fine)
        return from_coarse, from_middle, fused

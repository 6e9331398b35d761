"""Pyramid pooling: the map seen in a few large cells.

Shapes: B images, C channels in, K channels out, H rows, W columns, s cells in each direction, n pyramid levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from visuite.seg.layers.conv_options import ConvOptions
from visuite.seg.layers.pooling import CellPooling
from visuite.seg.layers.resize import resize_like


class PPM(nn.ModuleList):
    """Pyramid pooling module (Zhao et al., PSPNet, arXiv:1612.01105); its parts are `<level>.1`, a convolution each.

    Args:
        pool_scales: s of each level.
        in_channels: C.
        channels: K.
        options: Of the convolutions.
        align_corners: How levels are enlarged; see `resize`.
    """

    def __init__(
        self,
        pool_scales: Sequence[int],
        in_channels: int,
        channels: int,
        *,
        options: ConvOptions,
        align_corners: bool = False,
    ) -> None:
        super().__init__(
            nn.Sequential(CellPooling(scale), options.conv(in_channels, channels)) for scale in pool_scales
        )
        self.pool_scales = tuple(pool_scales)
        self.align_corners = align_corners

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, C, H, W) to n maps (B, K, H, W)."""
        return [resize_like(level(x), x, align_corners=self.align_corners) for level in self]

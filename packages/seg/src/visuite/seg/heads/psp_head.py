"""The head of PSPNet.

Shapes: B images, I channels of the map, C channels of features, h rows, w columns, n pyramid levels.

Names of parameters: psp_modules.<level>.1.conv, bottleneck.conv, conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import PPM
from visuite.seg.registry import MODELS


@MODELS.register_module()
class PSPHead(BaseDecodeHead):
    """Pyramid pooling (Zhao et al., arXiv:1612.01105).

    Args:
        pool_scales: Cells in each direction, of each level.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.psp_modules = PPM(
            pool_scales, self.in_channels, self.channels, options=self.options, align_corners=self.align_corners
        )
        self.bottleneck = self.conv(self.in_channels + len(pool_scales) * self.channels, self.channels, 3)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self._transform_inputs(inputs)
        return self.bottleneck(torch.cat([x, *self.psp_modules(x)], dim=1))

"""The neck of YOLOv8: CSP layers that keep what each block gives, down and up, with nothing reduced before.

Shapes and names of parameters: see `base.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from visuite.cv.layers import ConvModule
from visuite.yolo.layers.c2f import CSPLayerWithTwoConv
from visuite.yolo.necks.base import YOLONeck
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLOv8PAFPN(YOLONeck):
    """Path aggregation (arXiv:1803.01534) by `CSPLayerWithTwoConv`s.

    Args:
        in_channels: C_i before widening, from fine to coarse.
        out_channels: K_i before widening, or one number for all.
        num_csp_blocks: Blocks of each CSP layer, before deepening.
        **kwargs: More arguments of `YOLONeck`.
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: int | Sequence[int], *, num_csp_blocks: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(in_channels, out_channels, **kwargs)
        self.num_blocks = self.depth(num_csp_blocks)
        #: Channels of each level on the way down; the coarsest begins it.
        self.inner_channels = (*self.out_channels[:-1], self.in_channels[-1])
        self.build_layers()

    def build_reduce_layer(self, index: int) -> nn.Module:
        """Return nothing that changes the map."""
        return nn.Identity()

    def build_top_down_layer(self, index: int) -> nn.Module:
        """Return a CSP layer."""
        return self._mix(self.in_channels[index - 1] + self.inner_channels[index], self.inner_channels[index - 1])

    def build_downsample_layer(self, index: int) -> nn.Module:
        """Return a convolution with stride 2."""
        channels = self.out_channels[index]
        return ConvModule(channels, channels, 3, stride=2, padding=1, **self.cfgs)

    def build_bottom_up_layer(self, index: int) -> nn.Module:
        """Return a CSP layer."""
        return self._mix(self.out_channels[index] + self.inner_channels[index + 1], self.out_channels[index + 1])

    def _mix(self, channels: int, out_channels: int) -> CSPLayerWithTwoConv:
        return CSPLayerWithTwoConv(channels, out_channels, num_blocks=self.num_blocks, add_identity=False, **self.cfgs)

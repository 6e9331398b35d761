"""The neck of HRNet for classification.

Shapes: B images, map i = 0, 1, ... of C_i channels, H / 2^i rows and W / 2^i columns, K channels out.

Names of parameters: increase_layers.0.0.conv1, downsample_layers.0.conv, final_layer.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from visuite.cls.registry import MODELS
from visuite.cv.backbones import BlockOptions, Bottleneck
from visuite.cv.backbones.resnet_block import make_shortcut, make_stage
from visuite.cv.layers import ConvModule
from visuite.cv.necks import Neck

#: Channels inside the bottlenecks of the maps, the finest first.
_WIDTHS = (32, 64, 128, 256)


@MODELS.register_module()
class HRFuseScales(Neck):
    """Widen each map, add the finer ones to the coarser on the way down, and widen the last (arXiv:1908.07919).

    Args:
        in_channels: C_i of four maps.
        out_channels: K.
        norm_cfg: Config of the norms.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: there are not four maps.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 2048,
        *,
        norm_cfg: Mapping[str, Any] = {"type": "BN", "momentum": 0.1},  # never written to
        init_cfg: Any = {"type": "Normal", "layer": "Linear", "std": 0.01},  # noqa: B006
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != len(_WIDTHS):
            raise ValueError(f"HRFuseScales fuses {len(_WIDTHS)} maps, not {len(in_channels)}")
        self.in_channels = tuple(in_channels)
        self.out_channels = (out_channels,)
        options = BlockOptions(norm_cfg=norm_cfg)
        wide = [width * Bottleneck.expansion for width in _WIDTHS]
        self.increase_layers = nn.ModuleList(
            _bottleneck(channels, width, options) for channels, width in zip(in_channels, _WIDTHS, strict=True)
        )
        cfg: dict[str, Any] = {"norm_cfg": dict(norm_cfg), "bias": False}
        self.downsample_layers = nn.ModuleList(
            ConvModule(finer, coarser, 3, stride=2, padding=1, **cfg) for finer, coarser in pairwise(wide)
        )
        self.final_layer = ConvModule(wide[-1], out_channels, 1, **cfg)

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the stride of the coarsest map."""
        return (in_strides[-1],)

    def forward(self, x: Sequence[torch.Tensor]) -> tuple[torch.Tensor]:
        """Maps (B, C_i, H / 2^i, W / 2^i) to one map (B, K, H / 8, W / 8)."""
        self.check_maps(x)
        widened = [layer(one) for layer, one in zip(self.increase_layers, x, strict=True)]
        fused = widened[0]
        for shrink, coarser in zip(self.downsample_layers, widened[1:], strict=True):
            fused = shrink(fused) + coarser
        return (self.final_layer(fused),)


def _bottleneck(in_channels: int, width: int, options: BlockOptions) -> nn.Sequential:
    shortcut = make_shortcut(
        in_channels, width * Bottleneck.expansion, 1, options=options, avg_down=False, always_pool=False
    )
    return make_stage(Bottleneck, in_channels, width, stride=1, dilations=[1], options=options, shortcut=shortcut)

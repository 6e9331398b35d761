"""Pooling over several ranges on one half of the channels.

Shapes: B images, C channels in, K channels out, M channels inside, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule, RangePooling
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class SPPFCSPBlock(nn.Module):
    """Pool over growing ranges between convolutions, beside a shortcut, then mix (SPPCSPC of YOLOv7, arXiv:2207.02696).

    Names of parameters: main_layers.{0,1,2}.*, fuse_layers.{0,1}.*, short_layer.*, final_conv.*; of the tiny version
    main_layers.* and fuse_layers.*.

    Args:
        in_channels: C.
        out_channels: K.
        expand_ratio: M in 2 K.
        kernel_sizes: The sides of the squares to pool over, odd and growing; or the first of three, of which each pools
            what the one before gave.
        is_tiny_version: Have one convolution before and one behind the pooling, not three and two, and the largest
            squares first.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expand_ratio: float = 0.5,
        kernel_sizes: int | Sequence[int] = 5,
        is_tiny_version: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "SiLU", "inplace": True},  # noqa: B006
    ) -> None:
        super().__init__()
        middle = int(2 * out_channels * expand_ratio)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        if isinstance(kernel_sizes, int):
            kernel_sizes = [kernel_sizes + step * (kernel_sizes - 1) for step in range(3)]
        self.poolings = RangePooling(kernel_sizes, largest_first=is_tiny_version)
        narrow = ConvModule(in_channels, middle, 1, **cfgs)
        mix = ConvModule((len(self.poolings) + 1) * middle, middle, 1, **cfgs)
        if is_tiny_version:
            self.main_layers: nn.Module = narrow
            self.fuse_layers: nn.Module = mix
        else:
            self.main_layers = nn.Sequential(
                narrow, ConvModule(middle, middle, 3, padding=1, **cfgs), ConvModule(middle, middle, 1, **cfgs)
            )
            self.fuse_layers = nn.Sequential(mix, ConvModule(middle, middle, 3, padding=1, **cfgs))
        self.short_layer = ConvModule(in_channels, middle, 1, **cfgs)
        self.final_conv = ConvModule(2 * middle, out_channels, 1, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        pooled = self.fuse_layers(self.poolings(self.main_layers(x)))
        return self.final_conv(torch.cat((pooled, self.short_layer(x)), dim=1))

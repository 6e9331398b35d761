"""Maps made half as large.

Shapes: B images, C channels in, K channels out, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class MaxPoolAndStrideConvBlock(nn.Module):
    """Halve a map by a strided convolution and by a maximum, half of the channels each (YOLOv7, arXiv:2207.02696).

    Names of parameters: maxpool_branches.1.*, stride_conv_branches.{0,1}.*.

    Args:
        in_channels: C.
        out_channels: K, even.
        maxpool_kernel_sizes: Side of the squares that the maximum is taken of, and its stride.
        use_in_channels_of_middle: Have C channels before the strided convolution rather than K / 2.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        maxpool_kernel_sizes: int = 2,
        use_in_channels_of_middle: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "SiLU", "inplace": True},  # noqa: B006
    ) -> None:
        super().__init__()
        half = out_channels // 2
        middle = in_channels if use_in_channels_of_middle else half
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.maxpool_branches = nn.Sequential(
            halving_pool(maxpool_kernel_sizes), ConvModule(in_channels, half, 1, **cfgs)
        )
        self.stride_conv_branches = nn.Sequential(
            ConvModule(in_channels, middle, 1, **cfgs), ConvModule(middle, half, 3, stride=2, padding=1, **cfgs)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / 2, W / 2), rounded up."""
        return torch.cat((self.stride_conv_branches(x), self.maxpool_branches(x)), dim=1)


def halving_pool(side: int = 2) -> nn.MaxPool2d:
    """Return the maximum over squares, whose maps have sides rounded up, as those of strided convolutions have."""
    return nn.MaxPool2d(side, side, ceil_mode=True)

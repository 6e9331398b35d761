"""Residual blocks of networks with several branches at once.

Shapes: B images, I channels in, K channels of a block, E its expansion, H rows, W columns, s stride.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from visuite.seg.layers.conv_options import ConvOptions


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, `downsample`; perhaps not activated behind.

    Args:
        in_channels: I.
        channels: K.
        stride: s.
        downsample: The shortcut; None hands x on.
        with_act: Activate the sum.
        options: Of the convolutions.
    """

    expansion: ClassVar[int] = 1
    downsample: nn.Module | None

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        downsample: nn.Module | None = None,
        with_act: bool = True,
        options: ConvOptions,
    ) -> None:
        super().__init__()
        self.conv1 = options.conv(in_channels, channels, 3, stride=stride)
        self.conv2 = options.conv(channels, channels, 3, act_cfg=None)
        self.downsample = downsample
        self.act = options.act() if with_act else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, H / s, W / s)."""
        out = self.conv2(self.conv1(x))
        return self.act(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 and a shortcut, `downsample`; perhaps not activated behind.

    Args:
        in_channels: I.
        channels: K.
        stride: s.
        downsample: The shortcut; None hands x on.
        with_act: Activate the sum.
        options: Of the convolutions.
    """

    expansion: ClassVar[int] = 2
    downsample: nn.Module | None

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        downsample: nn.Module | None = None,
        with_act: bool = True,
        options: ConvOptions,
    ) -> None:
        super().__init__()
        self.conv1 = options.conv(in_channels, channels)
        self.conv2 = options.conv(channels, channels, 3, stride=stride)
        self.conv3 = options.conv(channels, channels * self.expansion, act_cfg=None)
        self.downsample = downsample
        self.act = options.act() if with_act else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K * E, H / s, W / s)."""
        out = self.conv3(self.conv2(self.conv1(x)))
        return self.act(out + (x if self.downsample is None else self.downsample(x)))


def make_block(
    kind: type[BasicBlock | Bottleneck],
    in_channels: int,
    channels: int,
    *,
    stride: int = 1,
    with_act: bool,
    options: ConvOptions,
) -> nn.Module:
    """Make a block with the shortcut that it needs."""
    wide = channels * kind.expansion
    same = stride == 1 and in_channels == wide
    shortcut = None if same else options.conv(in_channels, wide, stride=stride, act_cfg=None)
    return kind(in_channels, channels, stride=stride, downsample=shortcut, with_act=with_act, options=options)


def make_layer(
    kind: type[BasicBlock | Bottleneck],
    in_channels: int,
    channels: int,
    num_blocks: int,
    *,
    stride: int = 1,
    options: ConvOptions,
) -> nn.Sequential:
    """Make blocks one after the other; the last of several, and every bottleneck that is alone, is not activated.

    Args:
        kind: Of the blocks.
        in_channels: I.
        channels: K.
        num_blocks: How many.
        stride: Of the first.
        options: Of the convolutions.
    """
    wide = channels * kind.expansion
    first = kind is BasicBlock
    blocks = [make_block(kind, in_channels, channels, stride=stride, with_act=first, options=options)]
    blocks += (
        make_block(kind, wide, channels, with_act=index < num_blocks - 1, options=options)
        for index in range(1, num_blocks)
    )
    return nn.Sequential(*blocks)

"""Residual blocks of networks with several branches at once.

Shapes: B images, I channels in, K channels of a block, E its expansion, H rows, W columns, s stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from visuite.seg.layers.conv_options import ConvOptions


class ResidualBlock(nn.Module):
    """Convolutions, `conv1`, `conv2`, ..., and a shortcut, `downsample`; their sum is perhaps not activated.

    Args:
        in_channels: I.
        channels: K.
        stride: s.
        downsample: The shortcut; None hands x on.
        with_act: Activate the sum.
        options: Of the convolutions.
    """

    expansion: ClassVar[int]
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
        convs = self.make_convs(in_channels, channels, stride, options)
        self.conv_names = [f"conv{number}" for number in range(1, len(convs) + 1)]
        for name, conv in zip(self.conv_names, convs, strict=True):
            self.add_module(name, conv)
        self.downsample = downsample
        self.act = options.act() if with_act else nn.Identity()

    @staticmethod
    def make_convs(in_channels: int, channels: int, stride: int, options: ConvOptions) -> Sequence[nn.Module]:
        """Make the convolutions; the last has no activation."""
        raise NotImplementedError("a residual block needs make_convs(in_channels, channels, stride, options)")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K * E, H / s, W / s)."""
        out = x
        for name in self.conv_names:
            out = getattr(self, name)(out)
        return self.act(out + (x if self.downsample is None else self.downsample(x)))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions."""

    expansion = 1

    @staticmethod
    def make_convs(in_channels: int, channels: int, stride: int, options: ConvOptions) -> Sequence[nn.Module]:
        """Make the convolutions; the first has the stride."""
        return options.conv(in_channels, channels, 3, stride=stride), options.conv(channels, channels, 3, act_cfg=None)


class Bottleneck(ResidualBlock):
    """Convolutions 1x1, 3x3 and 1x1, the last of which doubles the channels."""

    expansion = 2

    @staticmethod
    def make_convs(in_channels: int, channels: int, stride: int, options: ConvOptions) -> Sequence[nn.Module]:
        """Make the convolutions; the second has the stride."""
        return (
            options.conv(in_channels, channels),
            options.conv(channels, channels, 3, stride=stride),
            options.conv(channels, channels * 2, act_cfg=None),
        )


def make_block(
    kind: type[ResidualBlock],
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
    kind: type[ResidualBlock],
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

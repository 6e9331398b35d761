"""Res2Net: residual networks whose blocks see several ranges at once.

Shapes: B images, M channels inside a block, S slices of M / S channels, H rows, W columns, s stride; the maps are those
of `ResNet`.

Names of parameters are those of ResNet, with layer1.0.convs.0, ... and layer1.0.bns.0, ... for a block's conv2 and bn2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.resnet import ResNet
from visuite.cv.backbones.resnet_block import BasicBlock, BlockOptions, Bottleneck
from visuite.engine.registry import MODELS


@dataclass(frozen=True)
class SliceOptions(BlockOptions):
    """What all blocks of a stage share.

    Attributes:
        scales: S.
        slice_width: The channels of a slice in K, the channels of the block.
    """

    scales: int = 4
    slice_width: float = 26 / 64


class SlicedBottleneck(Bottleneck):
    """A bottleneck whose middle convolves slices of the channels in a row (Gao et al., arXiv:1904.01169).

    Each convolution works on its slice and, but in the first block of a stage, on what the one before gave. The last
    slice is handed on as it is, or pooled in such a first block. `options` are `SliceOptions`.
    """

    def inner_channels(self, channels: int, options: SliceOptions) -> int:
        """Return the channels inside of a block of K channels."""
        return int(channels * options.slice_width) * options.scales

    def make_middle(
        self, channels: int, *, stride: int, dilation: int, begins_stage: bool, options: SliceOptions
    ) -> None:
        """Make the layers between the 1x1 convolutions, `channels` wide."""
        width = channels // options.scales
        numbers = range(options.scales - 1)
        self.scales = options.scales
        self.begins_stage = begins_stage
        self.convs = nn.ModuleList(options.conv3x3(width, stride, dilation) for _ in numbers)
        self.bns = nn.ModuleList(options.norm(width)[1] for _ in numbers)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if begins_stage else nn.Identity()

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        """Between the 1x1 convolutions: (B, M, H, W) to (B, M, H / s, W / s), activated."""
        *slices, last = x.chunk(self.scales, dim=1)
        maps: list[torch.Tensor] = []
        for one, conv, norm in zip(slices, self.convs, self.bns, strict=True):
            goes_on = maps and not self.begins_stage
            maps.append(self.relu(norm(conv(one + maps[-1] if goes_on else one))))
        return torch.cat((*maps, self.pool(last)), dim=1)


@MODELS.register_module()
class Res2Net(ResNet):
    """Residual network of sliced blocks (Gao et al., arXiv:1904.01169).

    Args:
        depth: 50, 101 or 152.
        in_channels: Channels of the images.
        scales: S.
        base_width: The channels of a slice in the first stage, where `base_channels` is 64.
        deep_stem: See `ResNet`, as the rest.
        avg_down: See there.
        **kwargs: More arguments of `ResNet`.

    Raises:
        ValueError: one slice alone, which is a ResNet.
    """

    arch_settings: ClassVar[Mapping[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]]] = {
        50: (SlicedBottleneck, (3, 4, 6, 3)),
        101: (SlicedBottleneck, (3, 4, 23, 3)),
        152: (SlicedBottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        *,
        scales: int = 4,
        base_width: int = 26,
        deep_stem: bool = True,
        avg_down: bool = True,
        **kwargs: Any,
    ) -> None:
        if scales < 2:
            raise ValueError(f"Res2Net has 2 scales at least, not {scales}: with one it is a ResNet")
        super().__init__(
            depth,
            in_channels,
            deep_stem=deep_stem,
            avg_down=avg_down,
            block_options=SliceOptions(scales=scales, slice_width=base_width / 64),
            **kwargs,
        )

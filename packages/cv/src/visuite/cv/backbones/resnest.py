"""ResNeSt: residual networks whose blocks choose, channel by channel, among several convolutions.

Shapes: B images, C channels, R splits, H rows, W columns, s stride; the maps are those of `ResNet`.

Names of parameters are those of ResNet, with layer1.0.conv2.conv, .bn0, .fc1, .bn1, .fc2 for a block's conv2 and bn2.
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
class SplitOptions(BlockOptions):
    """What all blocks of a stage share.

    Attributes:
        radix: R.
        reduction_factor: By how much attention narrows the channels of all splits.
        avg_down_stride: Pool where a block has a stride, instead of convolving with it.
    """

    radix: int = 2
    reduction_factor: int = 4
    avg_down_stride: bool = True


class SplitAttentionConv2d(nn.Module):
    """R convolutions, weighed for each channel by what the mean of their sum tells (Zhang et al., arXiv:2004.08955).

    With R = 1 the weight is a sigmoid, else a softmax over the splits.

    Args:
        channels: C.
        stride: s.
        dilation: Of the convolutions.
        options: What the blocks of a stage share.
    """

    def __init__(self, channels: int, *, stride: int, dilation: int, options: SplitOptions) -> None:
        super().__init__()
        self.radix, self.groups = options.radix, options.groups
        inside = max(channels * options.radix // options.reduction_factor, 32)
        self.conv = options.conv3x3(channels, stride, dilation, copies=options.radix)
        self.norm0_name, norm0 = options.norm(channels * options.radix, postfix=0)
        self.add_module(self.norm0_name, norm0)
        self.fc1 = nn.Conv2d(channels, inside, 1, groups=options.groups)
        self.norm1_name, norm1 = options.norm(inside, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.fc2 = nn.Conv2d(inside, channels * options.radix, 1, groups=options.groups)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, H / s, W / s)."""
        splits = self.relu(getattr(self, self.norm0_name)(self.conv(x))).unflatten(1, (self.radix, -1))
        mean = splits.sum(1).mean((2, 3), keepdim=True)
        scores = self.fc2(self.relu(getattr(self, self.norm1_name)(self.fc1(mean))))
        return (splits * self._share(scores)).sum(1)

    def _share(self, scores: torch.Tensor) -> torch.Tensor:
        """(B, groups * R * C / groups, 1, 1) to the weights of the splits (B, R, C, 1, 1)."""
        by_split = scores.unflatten(1, (self.groups, self.radix, -1)).transpose(1, 2).flatten(2, 3)
        return by_split.sigmoid() if self.radix == 1 else by_split.softmax(dim=1)


class SplitAttentionBottleneck(Bottleneck):
    """A bottleneck with a `SplitAttentionConv2d` in the middle; `options` are `SplitOptions`."""

    def make_middle(
        self, channels: int, *, stride: int, dilation: int, begins_stage: bool, options: SplitOptions
    ) -> None:
        """Make the layers between the 1x1 convolutions, `channels` wide."""
        pools = options.avg_down_stride and stride > 1
        self.conv2 = SplitAttentionConv2d(channels, stride=1 if pools else stride, dilation=dilation, options=options)
        self.avd_layer = nn.AvgPool2d(3, stride, padding=1) if pools else nn.Identity()

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        """Between the 1x1 convolutions: (B, M, H, W) to (B, M, H', W'), activated."""
        return self.avd_layer(self.conv2(x))


@MODELS.register_module()
class ResNeSt(ResNet):
    """Residual network of split-attention blocks (Zhang et al., arXiv:2004.08955).

    Args:
        depth: 50, 101, 152, 200 or 269.
        in_channels: Channels of the images.
        groups: Of the 3x3 convolutions; with several, each has `base_width` channels in the first stage.
        base_width: See there.
        radix: R.
        reduction_factor: By how much attention narrows the channels of all splits.
        avg_down_stride: Pool where a block has a stride, instead of convolving with it.
        deep_stem: See `ResNet`, as the rest.
        avg_down: See there.
        **kwargs: More arguments of `ResNet`.
    """

    arch_settings: ClassVar[Mapping[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]]] = {
        50: (SplitAttentionBottleneck, (3, 4, 6, 3)),
        101: (SplitAttentionBottleneck, (3, 4, 23, 3)),
        152: (SplitAttentionBottleneck, (3, 8, 36, 3)),
        200: (SplitAttentionBottleneck, (3, 24, 36, 3)),
        269: (SplitAttentionBottleneck, (3, 30, 48, 8)),
    }

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        *,
        groups: int = 1,
        base_width: int = 4,
        radix: int = 2,
        reduction_factor: int = 4,
        avg_down_stride: bool = True,
        deep_stem: bool = True,
        avg_down: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            depth,
            in_channels,
            groups=groups,
            base_width=base_width,
            deep_stem=deep_stem,
            avg_down=avg_down,
            block_options=SplitOptions(radix=radix, reduction_factor=reduction_factor, avg_down_stride=avg_down_stride),
            **kwargs,
        )

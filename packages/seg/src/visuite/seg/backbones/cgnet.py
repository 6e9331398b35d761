"""CGNet.

Shapes: B images, I channels in, C_i channels of stage i = 0..2, H rows, W columns. Three maps, at strides 2, 4 and 8,
of C_0 + I, 2 C_1 + I and 2 C_2 channels: what a stage finds beside its first map and the image.

Names of parameters: stem.<conv>.conv, norm_prelu_<i>.<0,1>,
level<i>.<block>.{conv1x1.conv,conv1x1.bn,conv1x1.activate,f_loc, f_sur,bn,activate,bottleneck,f_glo.fc.<0,2>}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone
from visuite.cv.layers.recompute import recompute
from visuite.seg.layers import ConvOptions
from visuite.seg.layers.conv_options import BN, Cfg
from visuite.seg.registry import MODELS

_PRELU: Cfg = {"type": "PReLU"}


class GlobalContextExtractor(nn.Module):
    """Channels weighed by what the whole map holds.

    Args:
        channels: C.
        reduction: C in the channels between the two layers.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inside = channels // reduction
        self.fc = nn.Sequential(
            nn.Linear(channels, inside), nn.ReLU(inplace=True), nn.Linear(inside, channels), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return x * self.fc(x.mean((2, 3)))[..., None, None]


class ContextGuidedBlock(nn.Module):
    """A pixel beside its surroundings: a depthwise convolution beside a dilated one, then what the whole map holds.

    Args:
        in_channels: I.
        out_channels: K.
        dilation: Of the dilated convolution.
        reduction: See `GlobalContextExtractor`.
        downsample: Halve the map; else there is a shortcut.
        options: Of the convolutions.
        with_cp: Compute activations again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilation: int,
        reduction: int,
        downsample: bool,
        options: ConvOptions,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.downsample = downsample
        channels = out_channels if downsample else out_channels // 2
        kernel, stride = (3, 2) if downsample else (1, 1)
        self.conv1x1 = sized(options, channels).conv(in_channels, channels, kernel, stride=stride)
        depthwise: dict[str, Any] = {"groups": channels, "bias": False}
        self.f_loc = nn.Conv2d(channels, channels, 3, padding=1, **depthwise)
        self.f_sur = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, **depthwise)
        self.bn = options.norm(2 * channels)
        self.activate = nn.PReLU(2 * channels)
        if downsample:
            self.bottleneck = nn.Conv2d(2 * channels, out_channels, 1, bias=False)
        self.f_glo = GlobalContextExtractor(out_channels, reduction)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, h, w) to (B, K, h, w), or half the rows and columns."""
        return recompute(self._forward, x, enabled=self.with_cp)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = self.conv1x1(x)
        joined = self.activate(self.bn(torch.cat([self.f_loc(inside), self.f_sur(inside)], dim=1)))
        out = self.f_glo(self.bottleneck(joined) if self.downsample else joined)
        return out if self.downsample else x + out


class InputInjection(nn.Module):
    """The image, made smaller.

    Args:
        num_downsampling: How often it is halved.
    """

    def __init__(self, num_downsampling: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(*(nn.AvgPool2d(3, stride=2, padding=1) for _ in range(num_downsampling)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, I, H / 2^n, W / 2^n)."""
        return self.pool(x)


@MODELS.register_module()
class CGNet(Backbone):
    """Context-guided network (Wu et al., arXiv:1811.08201).

    Args:
        in_channels: I.
        num_channels: C_i.
        num_blocks: Blocks of the last two stages.
        dilations: Of each of them.
        reductions: See `GlobalContextExtractor`, of each.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: not three channels, or not two of the others.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_channels: Sequence[int] = (32, 64, 128),
        *,
        num_blocks: Sequence[int] = (3, 21),
        dilations: Sequence[int] = (2, 4),
        reductions: Sequence[int] = (8, 16),
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        act_cfg: Cfg = _PRELU,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=init_cfg)
        for name, values, count in (
            ("num_channels", num_channels, 3),
            ("num_blocks", num_blocks, 2),
            ("dilations", dilations, 2),
            ("reductions", reductions, 2),
        ):
            if len(values) != count:
                raise ValueError(f"{name} of CGNet has {count} entries, not {len(values)}")
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        first = num_channels[0]
        stem = sized(options, first)
        self.stem = nn.ModuleList(
            stem.conv(first if index else in_channels, first, 3, stride=1 if index else 2) for index in range(3)
        )
        self.inject_2x = InputInjection(1)
        self.inject_4x = InputInjection(2)
        self.out_channels = (first + in_channels, 2 * num_channels[1] + in_channels, 2 * num_channels[2])
        self.out_strides = (2, 4, 8)
        for index, width in enumerate(self.out_channels):
            self.add_module(f"norm_prelu_{index}", nn.Sequential(options.norm(width), sized(options, width).act()))
        for stage in range(2):
            channels = num_channels[stage + 1]
            blocks = (
                ContextGuidedBlock(
                    channels if block else self.out_channels[stage],
                    channels,
                    dilation=dilations[stage],
                    reduction=reductions[stage],
                    downsample=block == 0,
                    options=options,
                    with_cp=with_cp,
                )
                for block in range(num_blocks[stage])
            )
            self.add_module(f"level{stage + 1}", nn.ModuleList(blocks))
        self.hold_frozen()

    norm_prelu_0: nn.Module
    norm_prelu_1: nn.Module
    norm_prelu_2: nn.Module

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to three maps, as the file's head says."""
        half, quarter = self.inject_2x(x), self.inject_4x(x)
        for layer in self.stem:
            x = layer(x)
        fine = self.norm_prelu_0(torch.cat([x, half], dim=1))
        first, last = self._level(self.level1, fine)
        middle = self.norm_prelu_1(torch.cat([last, first, quarter], dim=1))
        first, last = self._level(self.level2, middle)
        return fine, middle, self.norm_prelu_2(torch.cat([first, last], dim=1))

    @staticmethod
    def _level(blocks: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the maps of the first block and the last."""
        first = last = blocks[0](x)
        for block in blocks[1:]:
            last = block(last)
        return first, last


def sized(options: ConvOptions, channels: int) -> ConvOptions:
    """Return options whose activation, where it has a parameter for each channel, has so many."""
    act = options.act_cfg
    if act is None or act.get("type") != "PReLU":
        return options
    return options.but(act_cfg={**act, "num_parameters": channels})

"""STDC.

Shapes: B images, I channels in, C_i channels of stage i = 0..4, H rows, W columns. The network gives the maps of the
last three stages, (B, C_i, H / 2^(i+1), W / 2^(i+1)).

Names of parameters: stages.<0,1>.conv, stages.<2..4>.<module>.layers.<conv>.conv, .downsample.conv, .skip.<0,1>.conv,
final_conv.conv; around it backbone.*, arms.<map>.{conv_layer,atten_conv_layer.1}.conv, convs.<map>.conv, conv_avg.conv,
ffm.{conv0,attention.<1,2>}.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, architecture
from visuite.seg.layers import AttentionRefinementModule, ConvOptions, resize_like
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS

_FFM: Cfg = {"in_channels": 512, "out_channels": 256, "scale_factor": 4}


class STDCModule(nn.Module):
    """Short-term dense concatenation: convolutions, each of half the channels before, whose maps lie side by side.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: 1 or 2.
        num_convs: How many convolutions there are, at least 2.
        fusion_type: With stride 2: `add` halves the map in the first convolution and adds a shortcut; `cat` halves it
            behind, and the first convolution's map by itself.
        options: Of the convolutions.

    Raises:
        ValueError: another stride or fusion, or fewer convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        num_convs: int = 4,
        fusion_type: str = "add",
        options: ConvOptions,
    ) -> None:
        super().__init__()
        if stride not in (1, 2) or num_convs < 2 or fusion_type not in ("add", "cat"):
            raise ValueError(
                f"stride is 1 or 2, num_convs at least 2 and fusion_type 'add' or 'cat', not {stride}, {num_convs} and "
                f"{fusion_type!r}"
            )
        self.fusion_type = fusion_type
        self.with_downsample = stride == 2
        half = out_channels // 2
        plain = options.but(act_cfg=None)
        # The first convolution and the halving are activated as published weights expect it: by ReLU, and not at all.
        first: nn.Module = options.but(act_cfg=RELU).conv(in_channels, half)
        if self.with_downsample:
            self.downsample = plain.conv(half, half, 3, stride=2, groups=half)
            if fusion_type == "add":
                first = nn.Sequential(first, self.downsample)
                self.skip: nn.Module = nn.Sequential(
                    plain.conv(in_channels, in_channels, 3, stride=2, groups=in_channels),
                    plain.conv(in_channels, out_channels),
                )
            else:
                self.skip = nn.AvgPool2d(3, stride=2, padding=1)
        widths = [out_channels // 2 ** min(index, num_convs - 1) for index in range(1, num_convs + 1)]
        self.layers = nn.ModuleList([first])
        for wide, narrow in pairwise(widths):
            self.layers.append(options.conv(wide, narrow, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, H / stride, W / stride)."""
        first, *others = self.layers
        out = first(x)
        halved = self.with_downsample and self.fusion_type == "cat"
        maps = [self.skip(out) if halved else out]
        out = self.downsample(out) if halved else out
        for layer in others:
            out = layer(out)
            maps.append(out)
        together = torch.cat(maps, dim=1)
        if self.fusion_type == "cat":
            return together
        return together + (self.skip(x) if self.with_downsample else x)


@MODELS.register_module()
class STDCNet(Backbone):
    """Stages of `STDCModule`s behind two convolutions (Fan et al., arXiv:2104.13188).

    Args:
        stdc_type: `STDCNet1` or `STDCNet2`.
        in_channels: I.
        channels: C_i.
        bottleneck_type: See `fusion_type` of `STDCModule`.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        num_convs: See `STDCModule`.
        with_final_conv: Have one more convolution on the last map.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown type, or not five stages.
    """

    #: The strides of the modules of the last three stages.
    arch_settings: ClassVar[Mapping[str, tuple[tuple[int, ...], ...]]] = {
        "STDCNet1": ((2, 1), (2, 1), (2, 1)),
        "STDCNet2": ((2, 1, 1, 1), (2, 1, 1, 1, 1), (2, 1, 1)),
    }

    def __init__(
        self,
        stdc_type: str,
        in_channels: int,
        *,
        channels: Sequence[int],
        bottleneck_type: str,
        norm_cfg: Cfg | None,
        act_cfg: Cfg | None,
        num_convs: int = 4,
        with_final_conv: bool = False,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        stages = architecture(self.arch_settings, stdc_type, "STDCNet")
        if len(channels) != 2 + len(stages):
            raise ValueError(f"channels of STDCNet are {2 + len(stages)}, not {len(channels)}")
        options = ConvOptions(norm_cfg=norm_cfg, act_cfg=act_cfg)
        widths = [in_channels, *channels]
        self.stages = nn.ModuleList(options.conv(widths[i], widths[i + 1], 3, stride=2) for i in range(2))
        shared: dict[str, Any] = {"num_convs": num_convs, "fusion_type": bottleneck_type, "options": options}
        for index, strides in enumerate(stages, start=2):
            before, own = widths[index], widths[index + 1]
            modules = (
                STDCModule(before if number == 0 else own, own, stride=stride, **shared)
                for number, stride in enumerate(strides)
            )
            self.stages.append(nn.Sequential(*modules))
        last = max(1024, widths[-1]) if with_final_conv else widths[-1]
        self.final_conv = options.conv(widths[-1], last) if with_final_conv else nn.Identity()
        self.out_channels = (*widths[3:-1], last)
        self.out_strides = (8, 16, 32)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to three maps, as the file's head says."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return (*maps[2:-1], self.final_conv(maps[-1]))


class FeatureFusionModule(nn.Module):
    """Two maps side by side in one convolution, whose channels are weighed by what the whole map holds.

    Args:
        in_channels: Of both together.
        out_channels: K.
        scale_factor: By how much the weights' layers are narrower.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale_factor: int = 4, options: ConvOptions) -> None:
        super().__init__()
        narrow = out_channels // scale_factor
        bare: dict[str, Any] = {"norm_cfg": None, "bias": False}
        self.conv0 = options.conv(in_channels, out_channels)
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            options.conv(out_channels, narrow, **bare),
            options.conv(narrow, out_channels, act_cfg=None, **bare),
            nn.Sigmoid(),
        )

    def forward(self, spatial: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Two maps (B, *, h, w) to (B, K, h, w)."""
        x = self.conv0(torch.cat([spatial, context], dim=1))
        return x + x * self.attention(x)


@MODELS.register_module()
class STDCContextPathNet(Backbone):
    """An STDC network whose coarse maps are refined and fused with the finest.

    Four maps: the network's finest, the two that were refined on the way up, at strides 16 and 8, and the fused one.

    Args:
        backbone_cfg: Config of the network.
        last_in_channels: Of its last map and the one before.
        out_channels: Of refined maps.
        ffm_cfg: `in_channels`, `out_channels` and `scale_factor` of the fusion.
        upsample_mode: How maps are enlarged.
        align_corners: See `resize`.
        norm_cfg: Config of the norms.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: channels that are not those of the network, or a fusion that is made for others.
    """

    def __init__(
        self,
        backbone_cfg: Cfg | nn.Module,
        last_in_channels: Sequence[int] = (1024, 512),
        *,
        out_channels: int = 128,
        ffm_cfg: Cfg = _FFM,
        upsample_mode: str = "nearest",
        align_corners: bool | None = None,
        norm_cfg: Cfg | None = BN,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone_cfg)
        given = tuple(self.backbone.out_channels)
        if given[:0:-1] != tuple(last_in_channels):
            raise ValueError(
                f"last_in_channels are {tuple(last_in_channels)}, but the network's last maps have {given[:0:-1]}"
            )
        if ffm_cfg["in_channels"] != given[0] + out_channels:
            raise ValueError(
                f"ffm_cfg.in_channels is {ffm_cfg['in_channels']}, but {given[0]} and {out_channels} are fused"
            )
        options = ConvOptions(norm_cfg=norm_cfg)
        self.resizing: dict[str, Any] = {"mode": upsample_mode, "align_corners": align_corners}
        self.arms = nn.ModuleList(
            AttentionRefinementModule(wide, out_channels, options=options) for wide in last_in_channels
        )
        self.convs = nn.ModuleList(options.conv(out_channels, out_channels, 3) for _ in last_in_channels)
        self.conv_avg = options.conv(last_in_channels[0], out_channels)
        self.ffm = FeatureFusionModule(**ffm_cfg, options=options)
        self.out_channels = (given[0], *(out_channels for _ in last_in_channels), ffm_cfg["out_channels"])
        strides = tuple(self.backbone.out_strides)
        self.out_strides = (strides[0], *strides[-2::-1], strides[0])
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to four maps, as the class says."""
        maps = self.backbone(x)
        above = resize_like(self.conv_avg(maps[-1].mean((2, 3), keepdim=True)), maps[-1], **self.resizing)
        refined = []
        for arm, conv, coarse, finer in zip(self.arms, self.convs, maps[:0:-1], maps[-2::-1], strict=True):
            above = conv(resize_like(arm(coarse) + above, finer, **self.resizing))
            refined.append(above)
        return (maps[0], *refined, self.ffm(maps[0], refined[-1]))

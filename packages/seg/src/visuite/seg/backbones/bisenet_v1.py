"""BiSeNet.

Shapes: B images, I channels in, H rows, W columns, S and T channels of the spatial and the context path. Three maps:
both paths together (B, out_channels, H/8, W/8), and the context path's (B, T, H/8, W/8) and (B, T, H/16, W/16).

Names of parameters: context_path.{backbone,arm16,arm32,conv_head16,conv_head32,gap_conv.1},
spatial_path.layer<1..4>.conv and ffm.{conv1,conv_atten.0}.conv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, chosen
from visuite.seg.layers import AttentionRefinementModule, ConvOptions, resize_like
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS


class SpatialPath(nn.Sequential):
    """Three convolutions with stride 2 and one without.

    Args:
        in_channels: I.
        num_channels: Of each; the last is S.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, num_channels: Sequence[int], *, options: ConvOptions) -> None:
        super().__init__()
        widths = [in_channels, *num_channels]
        for index, (kernel, stride) in enumerate(((7, 2), (3, 2), (3, 2), (1, 1))):
            conv = options.conv(widths[index], widths[index + 1], kernel, stride=stride)
            self.add_module(f"layer{index + 1}", conv)


class ContextPath(nn.Module):
    """A backbone, whose coarse maps are refined and added to finer ones.

    Args:
        backbone_cfg: Config of the backbone, of maps with strides 4, 8, 16 and 32.
        context_channels: T, and the channels of the backbone's last two maps.
        options: Of the convolutions.
    """

    def __init__(self, backbone_cfg: Cfg | nn.Module, context_channels: Sequence[int], *, options: ConvOptions) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone_cfg)
        channels, *coarse = context_channels
        given = tuple(self.backbone.out_channels[-2:])
        if given != tuple(coarse):
            raise ValueError(f"context_channels {tuple(context_channels)}, but the last maps have {given} channels")
        self.arm16 = AttentionRefinementModule(coarse[0], channels, options=options)
        self.arm32 = AttentionRefinementModule(coarse[1], channels, options=options)
        self.conv_head32 = options.conv(channels, channels, 3)
        self.conv_head16 = options.conv(channels, channels, 3)
        self.gap_conv = nn.Sequential(nn.AdaptiveAvgPool2d(1), options.conv(coarse[1], channels))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, I, H, W) to (B, T, H / 8, W / 8) and (B, T, H / 16, W / 16)."""
        *_, eighth, sixteenth, coarsest = self.backbone(x)
        top = self.arm32(coarsest) + self.gap_conv(coarsest)
        middle = self.conv_head32(resize_like(top, sixteenth, mode="nearest"))
        return self.conv_head16(resize_like(self.arm16(sixteenth) + middle, eighth, mode="nearest")), middle


class FeatureFusionModule(nn.Module):
    """Two maps side by side in one convolution, whose channels are weighed by what the whole map holds.

    Args:
        in_channels: Of both together.
        out_channels: Of the result.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.conv1 = options.conv(in_channels, out_channels)
        gate = options.conv(out_channels, out_channels, bias=False)
        self.conv_atten = nn.Sequential(gate, nn.Sigmoid())

    def forward(self, spatial: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Two maps (B, *, h, w) to (B, out_channels, h, w)."""
        fused = self.conv1(torch.cat([spatial, context], dim=1))
        return fused + fused * self.conv_atten(fused.mean((2, 3), keepdim=True))


@MODELS.register_module()
class BiSeNetV1(Backbone):
    """A spatial path for detail beside a context path for meaning (Yu et al., arXiv:1808.00897).

    Args:
        backbone_cfg: The context path's backbone; its maps have strides 4, 8, 16 and 32.
        in_channels: I.
        spatial_channels: Of the convolutions of the spatial path; the last is S.
        context_channels: T, and the channels of the backbone's last two maps.
        out_indices: Which maps are handed out.
        align_corners: Accepted for configs: nothing here is interpolated in a way that would show it.
        out_channels: Of both paths together.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: channels that are not those of the backbone, or maps that do not exist.
    """

    def __init__(
        self,
        backbone_cfg: Cfg | nn.Module,
        in_channels: int = 3,
        *,
        spatial_channels: Sequence[int] = (64, 64, 64, 128),
        context_channels: Sequence[int] = (128, 256, 512),
        out_indices: Sequence[int] = (0, 1, 2),
        align_corners: bool = False,
        out_channels: int = 256,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        self.out_indices = chosen(out_indices, 3)
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        self.context_path = ContextPath(backbone_cfg, context_channels, options=options)
        self.spatial_path = SpatialPath(in_channels, spatial_channels, options=options)
        self.ffm = FeatureFusionModule(spatial_channels[-1] + context_channels[0], out_channels, options=options)
        told = ((out_channels, 8), (context_channels[0], 8), (context_channels[0], 16))
        self.out_channels, self.out_strides = zip(*(told[index] for index in self.out_indices), strict=True)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map for each of `out_indices`, as the file's head says."""
        eighth, sixteenth = self.context_path(x)
        maps = (self.ffm(self.spatial_path(x), eighth), eighth, sixteenth)
        return tuple(maps[index] for index in self.out_indices)

"""BiSeNetV2.

Shapes: B images, I channels in, H rows, W columns, C_i channels of the semantic branch. Five maps: both branches
together (B, bga_channels, H/8, W/8), and the semantic branch's (B, C_i, H / s_i, W / s_i) with s = 4, 8, 16, 32.

Names of parameters: detail.detail_branch.<stage>.<conv>.conv, semantic.stage1.{conv_first,convs.<0,1>,fuse_last}.conv,
semantic.stage<2..4>.<layer>.{conv1,dwconv.<0,1>,conv2.0}.conv, .shortcut.0, semantic.stage4_CEBlock.{gap.1,conv_gap,
conv_last}, bga.{detail_dwconv.0,detail_down.0,semantic_conv.0,semantic_dwconv.0,conv}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, chosen
from visuite.cv.layers import build_norm_layer
from visuite.seg.layers import ConvOptions, resize_like
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS


class DetailBranch(nn.Module):
    """Three stages of full convolutions, each of stride 2.

    Args:
        in_channels: I.
        detail_channels: Of each stage.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, detail_channels: Sequence[int], *, options: ConvOptions) -> None:
        super().__init__()
        self.detail_branch = nn.ModuleList()
        width = in_channels
        for index, channels in enumerate(detail_channels):
            first = options.conv(width, channels, 3, stride=2)
            others = (options.conv(channels, channels, 3) for _ in range(1 if index == 0 else 2))
            self.detail_branch.append(nn.Sequential(first, *others))
            width = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, the last channels, H / 8, W / 8)."""
        for stage in self.detail_branch:
            x = stage(x)
        return x


class StemBlock(nn.Module):
    """A convolution, then two ways to halve its map, side by side.

    Args:
        in_channels: I.
        out_channels: K.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv_first = options.conv(in_channels, out_channels, 3, stride=2)
        self.convs = nn.Sequential(options.conv(out_channels, half), options.conv(half, out_channels, 3, stride=2))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.fuse_last = options.conv(2 * out_channels, out_channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, H / 4, W / 4)."""
        x = self.conv_first(x)
        return self.fuse_last(torch.cat([self.convs(x), self.pool(x)], dim=1))


class GELayer(nn.Module):
    """Gather and expand: a convolution, a wide depthwise one, and a narrowing one, beside a shortcut.

    Args:
        in_channels: C.
        out_channels: K.
        exp_ratio: Channels inside, in C.
        stride: 1 or 2.
        options: Of the convolutions.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, exp_ratio: int, stride: int, options: ConvOptions
    ) -> None:
        super().__init__()
        inside = in_channels * exp_ratio
        plain = options.but(act_cfg=None)
        self.conv1 = options.conv(in_channels, in_channels, 3)
        if stride == 1:
            self.dwconv = nn.Sequential(options.conv(in_channels, inside, 3, groups=in_channels))
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.dwconv = nn.Sequential(
                plain.conv(in_channels, inside, 3, stride=stride, groups=in_channels),
                options.conv(inside, inside, 3, groups=inside),
            )
            self.shortcut = nn.Sequential(plain.separable_conv(in_channels, out_channels, stride=stride))
        self.conv2 = nn.Sequential(plain.conv(inside, out_channels))
        self.act = options.act()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / stride, W / stride)."""
        return self.act(self.conv2(self.dwconv(self.conv1(x))) + self.shortcut(x))


class CEBlock(nn.Module):
    """Context embedding: add what the whole map holds, and convolve.

    Args:
        channels: C.
        options: Of the convolutions; there is a norm of the means in any case.
    """

    def __init__(self, channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        norm = build_norm_layer(dict(options.norm_cfg or BN), channels)[1]
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d(1), norm)
        self.conv_gap = options.conv(channels, channels)
        self.conv_last = options.conv(channels, channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return self.conv_last(x + self.conv_gap(self.gap(x)))


class SemanticBranch(nn.Module):
    """A stem, and stages of gathering and expanding.

    Args:
        in_channels: I.
        semantic_channels: C_i.
        exp_ratio: See `GELayer`.
        options: Of the convolutions.
    """

    def __init__(
        self, in_channels: int, semantic_channels: Sequence[int], *, exp_ratio: int, options: ConvOptions
    ) -> None:
        super().__init__()
        shared: dict[str, Any] = {"exp_ratio": exp_ratio, "options": options}
        self.stage1 = StemBlock(in_channels, semantic_channels[0], options=options)
        self.stages = [f"stage{number}" for number in range(1, len(semantic_channels) + 1)]
        for index, name in enumerate(self.stages[1:], start=1):
            before, channels = semantic_channels[index - 1 : index + 1]
            repeats = 3 if index == len(self.stages) - 1 else 1
            others = (GELayer(channels, channels, stride=1, **shared) for _ in range(repeats))
            self.add_module(name, nn.Sequential(GELayer(before, channels, stride=2, **shared), *others))
        self.last = f"{self.stages[-1]}_CEBlock"
        self.add_module(self.last, CEBlock(semantic_channels[-1], options=options))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, I, H, W) to the maps of the stages, and that of the context embedding."""
        maps = []
        for name in (*self.stages, self.last):
            x = getattr(self, name)(x)
            maps.append(x)
        return maps


class BGALayer(nn.Module):
    """Bilateral guided aggregation: each branch is weighed by the other, at both sizes.

    Args:
        channels: Of both branches.
        options: Of the convolutions.
        align_corners: How coarse maps are enlarged.
    """

    def __init__(self, channels: int, *, options: ConvOptions, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        plain = options.but(act_cfg=None)

        def separable() -> nn.Sequential:
            return nn.Sequential(plain.separable_conv(channels, channels, pw_norm_cfg=None))

        self.detail_dwconv = separable()
        self.detail_down = nn.Sequential(
            plain.conv(channels, channels, 3, stride=2, bias=False), nn.AvgPool2d(3, stride=2, padding=1)
        )
        self.semantic_conv = nn.Sequential(plain.conv(channels, channels, 3, bias=False))
        self.semantic_dwconv = separable()
        self.conv = options.conv(channels, channels, 3)

    def forward(self, detail: torch.Tensor, semantic: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) and (B, C, h / 4, w / 4) to (B, C, h, w)."""
        gate = resize_like(self.semantic_conv(semantic), detail, align_corners=self.align_corners).sigmoid()
        fine = self.detail_dwconv(detail) * gate
        coarse = self.detail_down(detail) * self.semantic_dwconv(semantic).sigmoid()
        return self.conv(fine + resize_like(coarse, fine, align_corners=self.align_corners))


@MODELS.register_module()
class BiSeNetV2(Backbone):
    """A wide and shallow branch for detail beside a narrow and deep one for meaning (Yu et al., arXiv:2004.02147).

    Args:
        in_channels: I.
        detail_channels: Of the stages of the branch for detail.
        semantic_channels: C_i.
        semantic_expansion_ratio: Channels inside the layers of the semantic branch, in those before.
        bga_channels: Of both branches' last maps, and of them together.
        out_indices: Which maps are handed out.
        align_corners: How coarse maps are enlarged.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: branches that do not end in `bga_channels`, or maps that do not exist.
    """

    def __init__(
        self,
        in_channels: int = 3,
        detail_channels: Sequence[int] = (64, 64, 128),
        *,
        semantic_channels: Sequence[int] = (16, 32, 64, 128),
        semantic_expansion_ratio: int = 6,
        bga_channels: int = 128,
        out_indices: Sequence[int] = (0, 1, 2, 3, 4),
        align_corners: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        ends = {detail_channels[-1], semantic_channels[-1], bga_channels}
        if len(ends) > 1:
            raise ValueError(f"detail_channels, semantic_channels and bga_channels end alike, not in {sorted(ends)}")
        self.out_indices = chosen(out_indices, len(semantic_channels) + 1)
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        self.detail = DetailBranch(in_channels, detail_channels, options=options)
        self.semantic = SemanticBranch(
            in_channels, semantic_channels, exp_ratio=semantic_expansion_ratio, options=options
        )
        self.bga = BGALayer(bga_channels, options=options, align_corners=align_corners)
        told = [(bga_channels, 8), *((channels, 4 * 2**i) for i, channels in enumerate(semantic_channels))]
        self.out_channels, self.out_strides = zip(*(told[index] for index in self.out_indices), strict=True)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map for each of `out_indices`, as the file's head says."""
        *stages, embedded = self.semantic(x)
        maps = (self.bga(self.detail(x), embedded), *stages)
        return tuple(maps[index] for index in self.out_indices)

"""MSCAN, the encoder of SegNeXt.

Shapes: B images, I channels in, C_i channels of stage i = 0..3, H rows, W columns. Stage i gives (B, C_i, H / 2^(i+2),
W / 2^(i+2)).

Names of parameters: patch_embed1.proj.<0, 1, 3, 4>, patch_embed<2..4>.{proj,norm}, block<1..4>.<block>.{norm1,norm2,
layer_scale_1,layer_scale_2}, .attn.{proj_1,proj_2,spatial_gating_unit.{conv0,conv<0..2>_<1,2>,conv3}},
.mlp.{fc1,dwconv, fc2}, norm<1..4>.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone
from visuite.cv.backbones.tokens import drop_path_rates, token_init
from visuite.cv.layers import DropPath, build_activation_layer, build_norm_layer
from visuite.seg.layers import norm_pixels
from visuite.seg.layers.conv_options import Cfg
from visuite.seg.registry import MODELS

_GELU: Cfg = {"type": "GELU"}
_SYNC_BN: Cfg = {"type": "SyncBN", "requires_grad": True}
#: Where the factors of residuals start.
_SCALE = 1e-2


def _norm(cfg: Cfg, channels: int) -> nn.Module:
    return build_norm_layer(dict(cfg), channels)[1]


class MSCAAttention(nn.Module):
    """Multi-scale convolutional attention: depthwise strips of several lengths say how much of each value counts.

    Args:
        channels: C.
        kernel_sizes: The square kernel that comes first, and the pairs of sides of the strips.
        paddings: Of each.
    """

    def __init__(self, channels: int, kernel_sizes: Sequence[Any], paddings: Sequence[Any]) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, kernel_sizes[0], padding=paddings[0], groups=channels)
        self.strips: list[tuple[str, str]] = []
        for index, (size, padding) in enumerate(zip(kernel_sizes[1:], paddings[1:], strict=True)):
            names = (f"conv{index}_1", f"conv{index}_2")
            for name, turn in zip(names, (1, -1), strict=True):
                kernel, pad = tuple(size)[::turn], tuple(padding)[::turn]
                self.add_module(name, nn.Conv2d(channels, channels, kernel, padding=pad, groups=channels))
            self.strips.append(names)
        self.conv3 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        near = self.conv0(x)
        total = near
        for first, second in self.strips:
            total = total + getattr(self, second)(getattr(self, first)(near))
        return self.conv3(total) * x


class MSCASpatialAttention(nn.Module):
    """`MSCAAttention` between two 1x1 convolutions, and the way round them.

    Args:
        channels: C.
        kernel_sizes: See `MSCAAttention`.
        paddings: See there.
        act_cfg: Config of the activation behind the first convolution.
    """

    def __init__(self, channels: int, kernel_sizes: Sequence[Any], *, paddings: Sequence[Any], act_cfg: Cfg) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(channels, channels, 1)
        self.activation = build_activation_layer(dict(act_cfg))
        self.spatial_gating_unit = MSCAAttention(channels, kernel_sizes, paddings)
        self.proj_2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return x + self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x))))


class ConvMLP(nn.Module):
    """Two 1x1 convolutions with a depthwise one between.

    Args:
        channels: C.
        hidden: Channels inside.
        act_cfg: Config of the activation.
        drop: The chance of a value to be zeroed.
    """

    def __init__(self, channels: int, hidden: int, *, act_cfg: Cfg, drop: float) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.act = build_activation_layer(dict(act_cfg))
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.drop = nn.Dropout(drop)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return self.drop(self.fc2(self.drop(self.act(self.dwconv(self.fc1(x))))))


class MSCABlock(nn.Module):
    """Attention and a network, each normalised before, scaled, and with the way round it.

    Args:
        channels: C.
        kernel_sizes: See `MSCAAttention`.
        paddings: See there.
        mlp_ratio: Channels inside the network, in C.
        drop: The chance of a value of the network to be zeroed.
        drop_path: The chance of a sample to lose a residual.
        act_cfg: Config of the activations.
        norm_cfg: Config of the norms.
    """

    def __init__(
        self,
        channels: int,
        kernel_sizes: Sequence[Any],
        *,
        paddings: Sequence[Any],
        mlp_ratio: float,
        drop: float,
        drop_path: float,
        act_cfg: Cfg,
        norm_cfg: Cfg,
    ) -> None:
        super().__init__()
        self.norm1 = _norm(norm_cfg, channels)
        self.attn = MSCASpatialAttention(channels, kernel_sizes, paddings=paddings, act_cfg=act_cfg)
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = _norm(norm_cfg, channels)
        self.mlp = ConvMLP(channels, int(channels * mlp_ratio), act_cfg=act_cfg, drop=drop)
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), _SCALE))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), _SCALE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * self.attn(self.norm1(x)))
        return x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))


class StemConv(nn.Module):
    """Two convolutions with stride 2.

    Args:
        in_channels: I.
        out_channels: C_0.
        act_cfg: Config of the activation between.
        norm_cfg: Config of the norms.
    """

    def __init__(self, in_channels: int, out_channels: int, *, act_cfg: Cfg, norm_cfg: Cfg) -> None:
        super().__init__()
        half = out_channels // 2
        self.proj = nn.Sequential(
            nn.Conv2d(in_channels, half, 3, stride=2, padding=1),
            _norm(norm_cfg, half),
            build_activation_layer(dict(act_cfg)),
            nn.Conv2d(half, out_channels, 3, stride=2, padding=1),
            _norm(norm_cfg, out_channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, C_0, H / 4, W / 4)."""
        return self.proj(x)


class OverlapPatchEmbed(nn.Module):
    """A convolution with stride 2, and a norm.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        norm_cfg: Config of the norm.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm_cfg: Cfg) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm = _norm(norm_cfg, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, K, h / 2, w / 2)."""
        return self.norm(self.proj(x))


@MODELS.register_module()
class MSCAN(Backbone):
    """Multi-scale convolutional attention in stages (Guo et al., SegNeXt, arXiv:2209.08575).

    Args:
        in_channels: I.
        embed_dims: C_i.
        mlp_ratios: Channels inside the blocks' networks, in C_i.
        drop_rate: The chance of a value of a network to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual of the last block; it grows from 0.
        depths: Blocks of each stage.
        num_stages: How many stages there are.
        attention_kernel_sizes: See `MSCAAttention`.
        attention_kernel_paddings: See there.
        act_cfg: Config of the activations.
        norm_cfg: Config of the norms but the last of each stage, which is of each pixel's channels.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: lists that are too short.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (64, 128, 256, 512),
        *,
        mlp_ratios: Sequence[float] = (4, 4, 4, 4),
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        depths: Sequence[int] = (3, 4, 6, 3),
        num_stages: int = 4,
        attention_kernel_sizes: Sequence[Any] = (5, (1, 7), (1, 11), (1, 21)),
        attention_kernel_paddings: Sequence[Any] = (2, (0, 3), (0, 5), (0, 10)),
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _SYNC_BN,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        for name, values in (("embed_dims", embed_dims), ("mlp_ratios", mlp_ratios), ("depths", depths)):
            if len(values) < num_stages:
                raise ValueError(f"{name} {tuple(values)} has fewer entries than the {num_stages} stages")
        self.num_stages = num_stages
        rates = iter(drop_path_rates(drop_path_rate, sum(depths[:num_stages])))
        for index in range(num_stages):
            channels = embed_dims[index]
            embed: nn.Module
            if index == 0:
                embed = StemConv(in_channels, channels, act_cfg=act_cfg, norm_cfg=norm_cfg)
            else:
                embed = OverlapPatchEmbed(embed_dims[index - 1], channels, norm_cfg=norm_cfg)
            blocks = nn.ModuleList(
                MSCABlock(
                    channels,
                    attention_kernel_sizes,
                    paddings=attention_kernel_paddings,
                    mlp_ratio=mlp_ratios[index],
                    drop=drop_rate,
                    drop_path=next(rates),
                    act_cfg=act_cfg,
                    norm_cfg=norm_cfg,
                )
                for _ in range(depths[index])
            )
            self.add_module(f"patch_embed{index + 1}", embed)
            self.add_module(f"block{index + 1}", blocks)
            self.add_module(f"norm{index + 1}", nn.LayerNorm(channels))
        self.out_channels = tuple(embed_dims[:num_stages])
        self.out_strides = tuple(4 * 2**index for index in range(num_stages))
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to the maps of all stages, as the file's head says."""
        maps = []
        for number in range(1, self.num_stages + 1):
            x = getattr(self, f"patch_embed{number}")(x)
            for block in getattr(self, f"block{number}"):
                x = block(x)
            x = norm_pixels(getattr(self, f"norm{number}"), x)
            maps.append(x)
        return tuple(maps)

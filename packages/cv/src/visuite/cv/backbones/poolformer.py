"""PoolFormer: a transformer's frame, with pooling in place of attention.

Shapes: B images, I channels in, C_i channels of stage i = 0..3, H rows, W columns. Stage i gives
(B, C_i, H / (4 * 2^i), W / (4 * 2^i)), rounded down where the paddings are as by default.

Names of parameters: patch_embed.proj, network.<0, 2, 4, 6>.<block>.{norm1,norm2,mlp.fc1,mlp.fc2,layer_scale_1,
layer_scale_2} for stages, network.<1, 3, 5>.proj between them, and norm<i> for positions i that are handed out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, architecture, check_frozen, chosen, custom_architecture
from visuite.cv.backbones.tokens import drop_path_rates, token_init
from visuite.cv.layers.activation import build_activation_layer
from visuite.cv.layers.drop import DropPath
from visuite.cv.layers.norm import build_norm_layer
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
_GROUP_NORM: Cfg = {"type": "GN", "num_groups": 1}
_GELU: Cfg = {"type": "GELU"}
_ARCH_KEYS = ("layers", "embed_dims", "mlp_ratios", "layer_scale_init_value")
_NARROW, _WIDE = (64, 128, 320, 512), (96, 192, 384, 768)


class Pooling(nn.Module):
    """The mean of the neighbours, less the token itself, which the way round adds again.

    Args:
        pool_size: Rows and columns of the neighbourhood.
    """

    def __init__(self, pool_size: int = 3) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(pool_size, stride=1, padding=pool_size // 2, count_include_pad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        return self.pool(x) - x


class PixelMlp(nn.Module):
    """Two linear layers at each pixel, as 1x1 convolutions.

    Args:
        channels: Channels in and out.
        hidden: Channels between.
        act_cfg: The activation's config.
        drop: The chance of a value behind a layer to be zeroed.
    """

    def __init__(self, channels: int, hidden: int, *, act_cfg: Cfg = _GELU, drop: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = build_activation_layer(dict(act_cfg))
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.drop = nn.Dropout(drop)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class PoolFormerBlock(nn.Module):
    """Pooling, then a network at each pixel; norms come first, and each residual has factors for its channels.

    Args:
        channels: C.
        pool_size: Of the pooling.
        mlp_ratio: Channels inside the network, in C.
        norm_cfg: The norms' config.
        act_cfg: The network's activation.
        drop: The chance of a value behind a layer to be zeroed.
        drop_path: The chance of a sample to lose a residual.
        layer_scale_init_value: Where the factors start.
    """

    def __init__(
        self,
        channels: int,
        *,
        pool_size: int = 3,
        mlp_ratio: float = 4.0,
        norm_cfg: Cfg = _GROUP_NORM,
        act_cfg: Cfg = _GELU,
        drop: float = 0.0,
        drop_path: float = 0.0,
        layer_scale_init_value: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(dict(norm_cfg), channels)[1]
        self.token_mixer = Pooling(pool_size)
        self.norm2 = build_norm_layer(dict(norm_cfg), channels)[1]
        self.mlp = PixelMlp(channels, int(channels * mlp_ratio), act_cfg=act_cfg, drop=drop)
        self.drop_path = DropPath(drop_path)
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), layer_scale_init_value))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), layer_scale_init_value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * self.token_mixer(self.norm1(x)))
        return x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))


class ConvPatches(nn.Module):
    """One convolution, `proj`, that cuts a map into patches."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, C, H / stride, W / stride)."""
        return self.proj(x)


@MODELS.register_module()
class PoolFormer(Backbone):
    """MetaFormer with pooling (Yu et al., arXiv:2111.11418).

    Args:
        arch: A name of `arch_zoo`, or a dict of `layers`, `embed_dims`, `mlp_ratios` and `layer_scale_init_value`.
        pool_size: Rows and columns over which tokens are pooled.
        norm_cfg: The norms' config.
        act_cfg: The activation in the blocks' networks.
        in_patch_size: Kernel of the first convolution.
        in_stride: Its stride.
        in_pad: Its padding.
        down_patch_size: Kernel of the convolutions between stages.
        down_stride: Their stride.
        down_pad: Their padding.
        drop_rate: The chance of a value behind a layer to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual of the last block; it grows from 0.
        out_indices: Positions in the network whose maps are handed out: 0, 2, 4 and 6 are the stages, 1, 3 and 5 the
            convolutions between them.
        frozen_stages: Train neither the first convolution (0) nor the first n positions; -1 trains all.
        in_channels: I.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown arch, or positions that do not exist.
    """

    arch_zoo: ClassVar[Mapping[str, Cfg]] = {
        name: dict(zip(_ARCH_KEYS, (layers, dims, (4, 4, 4, 4), scale), strict=True))
        for name, layers, dims, scale in (
            ("s12", (2, 2, 6, 2), _NARROW, 1e-5),
            ("s24", (4, 4, 12, 4), _NARROW, 1e-5),
            ("s36", (6, 6, 18, 6), _NARROW, 1e-6),
            ("m36", (6, 6, 18, 6), _WIDE, 1e-6),
            ("m48", (8, 8, 24, 8), _WIDE, 1e-6),
        )
    }

    def __init__(
        self,
        arch: str | Cfg = "s12",
        *,
        pool_size: int = 3,
        norm_cfg: Cfg = _GROUP_NORM,
        act_cfg: Cfg = _GELU,
        in_patch_size: int = 7,
        in_stride: int = 4,
        in_pad: int = 2,
        down_patch_size: int = 3,
        down_stride: int = 2,
        down_pad: int = 1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = 0,
        in_channels: int = 3,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        sizes = (
            architecture(self.arch_zoo, arch.lower(), "PoolFormer")
            if isinstance(arch, str)
            else custom_architecture(arch, _ARCH_KEYS, "PoolFormer")
        )
        layers, dims = sizes["layers"], sizes["embed_dims"]
        positions = 2 * len(layers) - 1
        self.out_indices = chosen(out_indices, positions)
        self.frozen_stages = check_frozen(frozen_stages, -1, positions)
        self.patch_embed = ConvPatches(in_channels, dims[0], kernel=in_patch_size, stride=in_stride, padding=in_pad)

        block: dict[str, Any] = {
            "pool_size": pool_size,
            "norm_cfg": norm_cfg,
            "act_cfg": act_cfg,
            "drop": drop_rate,
            "layer_scale_init_value": sizes["layer_scale_init_value"],
        }
        down: dict[str, int] = {"kernel": down_patch_size, "stride": down_stride, "padding": down_pad}
        rates = iter(drop_path_rates(drop_path_rate, sum(layers)))
        self.network = nn.ModuleList()
        for index, (count, ratio) in enumerate(zip(layers, sizes["mlp_ratios"], strict=True)):
            if index:
                self.network.append(ConvPatches(dims[index - 1], dims[index], **down))
            blocks = (
                PoolFormerBlock(dims[index], **block, mlp_ratio=ratio, drop_path=next(rates)) for _ in range(count)
            )
            self.network.append(nn.Sequential(*blocks))

        # Position i lies in, or leads to, stage (i + 1) // 2.
        stages = [(index + 1) // 2 for index in self.out_indices]
        self.out_channels = tuple(dims[stage] for stage in stages)
        self.out_strides = tuple(math.prod((in_stride, *(down_stride,) * stage)) for stage in stages)
        for index, channels in zip(self.out_indices, self.out_channels, strict=True):
            self.add_module(f"norm{index}", build_norm_layer(dict(norm_cfg), channels)[1])
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map for each of `out_indices`, as the file's head says."""
        x = self.patch_embed(x)
        maps = []
        for index, part in enumerate(self.network):
            x = part(x)
            if index in self.out_indices:
                maps.append(getattr(self, f"norm{index}")(x))
        return tuple(maps)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the first convolution, and the first positions with the norms of their maps."""
        if self.frozen_stages < 0:
            return ()
        norms = (getattr(self, f"norm{i}") for i in self.out_indices if i < self.frozen_stages)
        return self.patch_embed, *self.network[: self.frozen_stages], *norms

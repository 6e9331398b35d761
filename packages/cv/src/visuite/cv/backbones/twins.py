"""Twins: transformers in stages, with positions by convolutions, and attention in windows or to a smaller map.

Shapes: B images, I channels in, C_i channels of stage i = 0..3, H rows, W columns, h and w those of a map, s side of a
window, s_i the product of the strides up to stage i. Stage i gives (B, C_i, H / s_i, W / s_i).

Names of parameters: patch_embeds.<stage>.{projection,norm}, position_encodings.<stage>.proj, and of block j of stage i
layers.<i>.<j>.{norm1,attn,norm2,ffn}, where attn is {attn,sr,norm} or {qkv,proj}; norm_list.<stage>. Classification's
have stages.<i>.<j> and norm_after_stage<stage>.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones.base import Backbone, architecture, chosen
from visuite.cv.backbones.pvt_block import SpatialReductionAttention
from visuite.cv.backbones.tokens import drop_path_cfg, drop_path_rates, to_map, to_tokens, token_init
from visuite.cv.layers.attention import SelfAttention
from visuite.cv.layers.ffn import FFN
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.patch_embed import PatchEmbed
from visuite.cv.layers.window_attention import cut_windows, join_windows
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
Shape = tuple[int, int]
_LAYER_NORM: Cfg = {"type": "LN"}
_GELU: Cfg = {"type": "GELU"}
_KEYS = ("embed_dims", "depths", "num_heads", "mlp_ratios")


def _table(rows: Mapping[str, tuple[Any, ...]]) -> dict[str, Cfg]:
    return {name: dict(zip(_KEYS, row, strict=True)) for name, row in rows.items()}


class WindowSelfAttention(SelfAttention):
    """Attention of tokens to those of their window of the map; padding is not looked at.

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        window_size: s.
        **kwargs: As of `SelfAttention`.
    """

    def __init__(self, embed_dims: int, num_heads: int, *, window_size: int, **kwargs: Any) -> None:
        super().__init__(embed_dims, num_heads, **kwargs)
        self.window_size = window_size

    def attend_in_windows(self, x: torch.Tensor, shape: Shape, identity: torch.Tensor) -> torch.Tensor:
        """(B, h * w, C), and (h, w), to the same shape, with `identity` added."""
        (rows, columns), side = shape, self.window_size
        below, right = -rows % side, -columns % side
        windows = cut_windows(F.pad(x.unflatten(1, shape), (0, 0, 0, right, 0, below)), side)  # (B, n, s * s, C)
        parts = self.qkv(windows).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
        query, key, value = parts.flatten(1, 2)  # (B * n, heads, s * s, channels of a head) each, as ONNX wants it
        mask = None
        if torch.compiler.is_exporting() or below or right:  # an exported model takes other sizes
            inside = F.pad(x.new_ones(1, rows, columns, 1), (0, 0, 0, right, 0, below))
            mask = cut_windows(inside, side)[0, :, None, None, :, 0].repeat(x.shape[0], 1, 1, 1) > 0
        chance = self.attn_drop.p if self.training else 0.0
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=chance, scale=self.qk_scale)
        found = found.unflatten(0, (x.shape[0], -1)).transpose(2, 3).flatten(3)
        out = join_windows(found, rows + below, columns + right, side)[:, :rows, :columns]
        return identity + self.out_drop(self.proj_drop(self.proj(out.flatten(1, 2))))


class TwinsBlock(nn.Module):
    """Attention, then a network on each token; norms come first.

    Args:
        dims: C.
        num_heads: Of the attention.
        hidden: Channels inside the network.
        window_size: Side of the windows that tokens attend in; None attends to a smaller map.
        sr_ratio: By how much that is smaller.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual.
        norm_cfg: The norms' config.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        hidden: int,
        *,
        window_size: int | None,
        sr_ratio: int,
        qkv_bias: bool,
        drop_rate: float,
        attn_drop_rate: float,
        drop_path_rate: float,
        norm_cfg: Cfg,
    ) -> None:
        super().__init__()
        path = drop_path_cfg(drop_path_rate)
        drops: dict[str, Any] = {"attn_drop": attn_drop_rate, "proj_drop": drop_rate, "dropout_layer": path}
        self.norm1 = build_norm_layer(dict(norm_cfg), dims)[1]
        self.attn: WindowSelfAttention | SpatialReductionAttention
        if window_size is not None:
            self.attn = WindowSelfAttention(dims, num_heads, window_size=window_size, qkv_bias=qkv_bias, **drops)
        else:
            self.attn = SpatialReductionAttention(
                dims, num_heads, sr_ratio=sr_ratio, norm_cfg=norm_cfg, bias=qkv_bias, **drops
            )
        self.norm2 = build_norm_layer(dict(norm_cfg), dims)[1]
        self.ffn = FFN(dims, hidden, act_cfg=_GELU, ffn_drop=drop_rate, dropout_layer=path)

    def forward(self, x: torch.Tensor, shape: Shape) -> torch.Tensor:
        """(B, h * w, C), and (h, w), to the same shape."""
        attend = self.attn.attend_in_windows if isinstance(self.attn, WindowSelfAttention) else self.attn.attend
        x = attend(self.norm1(x), shape, identity=x)
        return self.ffn(self.norm2(x), identity=x)


class ConditionalPositionEncoding(nn.Module):
    """Where a token stands, told by a depthwise convolution of its neighbours (Chu et al., arXiv:2102.10882).

    Args:
        dims: C.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(dims, dims, 3, padding=1, groups=dims)

    def forward(self, x: torch.Tensor, shape: Shape) -> torch.Tensor:
        """(B, h * w, C), and (h, w), to the same shape."""
        return x + to_tokens(self.proj(to_map(x, shape)))[0]


@MODELS.register_module()
class PCPVT(Backbone):
    """Attention to a smaller map in each block: Twins-PCPVT (Chu et al., arXiv:2104.13840).

    Args:
        arch: A name of `arch_zoo`, or a dict of `embed_dims`, `depths`, `num_heads` and `mlp_ratios`.
        in_channels: I.
        embed_dims: C_i; with it and the three below in place of what `arch` says.
        depths: Blocks of each stage.
        num_heads: Of each stage.
        mlp_ratios: Channels inside the blocks' networks, in C_i.
        patch_sizes: Kernels of the convolutions that embed patches.
        strides: Their strides.
        sr_ratios: By how much the map is smaller that queries look at.
        out_indices: Stages whose maps are handed out.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_rate: The chance of a value behind a linear layer, and of embedded patches, to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual of the last block; it grows from 0.
        norm_cfg: The norms' config.
        norm_after_stage: Normalise behind all stages, or behind those whose flag is set.
        key_style: Whose names blocks and norms behind stages have in state dicts: `dense` or `cls`.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown arch or `key_style`, lists of unequal length, or stages that do not exist.
    """

    arch_zoo: ClassVar[Mapping[str, Cfg]] = _table(
        {
            "small": ((64, 128, 320, 512), (3, 4, 6, 3), (1, 2, 5, 8), (8, 8, 4, 4)),
            "base": ((64, 128, 320, 512), (3, 4, 18, 3), (1, 2, 5, 8), (8, 8, 4, 4)),
            "large": ((64, 128, 320, 512), (3, 8, 27, 3), (1, 2, 5, 8), (8, 8, 4, 4)),
        }
    )

    def __init__(
        self,
        arch: str | Cfg = "small",
        in_channels: int = 3,
        *,
        embed_dims: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] | None = None,
        mlp_ratios: Sequence[int] | None = None,
        patch_sizes: Sequence[int] = (4, 2, 2, 2),
        strides: Sequence[int] = (4, 2, 2, 2),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        qkv_bias: bool = False,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: Cfg = _LAYER_NORM,
        norm_after_stage: bool | Sequence[bool] = False,
        key_style: str = "dense",
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        if key_style not in ("dense", "cls"):
            raise ValueError(f"key_style {key_style!r} is neither 'dense' nor 'cls'")
        table = architecture(self.arch_zoo, arch, type(self).__name__) if isinstance(arch, str) else arch
        given = dict(zip(_KEYS, (embed_dims, depths, num_heads, mlp_ratios), strict=True))
        sizes: dict[str, Any] = {name: table.get(name) if value is None else value for name, value in given.items()}
        sizes.update(patch_sizes=patch_sizes, strides=strides, sr_ratios=sr_ratios)
        count = len(sizes["depths"])
        for name, values in sizes.items():
            if values is None or len(values) != count:
                raise ValueError(f"{name} of {type(self).__name__} has {count} entries, one a stage, not {values}")
        dims: Sequence[int] = sizes["embed_dims"]
        self.out_indices = chosen(out_indices, count)
        block: dict[str, Any] = {
            "qkv_bias": qkv_bias,
            "drop_rate": drop_rate,
            "attn_drop_rate": attn_drop_rate,
            "norm_cfg": norm_cfg,
        }
        self.patch_embeds = nn.ModuleList(
            PatchEmbed(wide, own, kernel_size=patch_sizes[index], stride=strides[index], norm_cfg=norm_cfg)
            for index, (wide, own) in enumerate(zip((in_channels, *dims[:-1]), dims, strict=True))
        )
        self.position_encoding_drops = nn.ModuleList(nn.Dropout(drop_rate) for _ in dims)
        self.position_encodings = nn.ModuleList(ConditionalPositionEncoding(own) for own in dims)
        rates = iter(drop_path_rates(drop_path_rate, sum(sizes["depths"])))
        stages = nn.ModuleList()
        for index, own in enumerate(dims):
            blocks = (
                TwinsBlock(
                    own,
                    sizes["num_heads"][index],
                    int(sizes["mlp_ratios"][index] * own),
                    window_size=self.window_of(index, number),
                    sr_ratio=sr_ratios[index],
                    drop_path_rate=next(rates),
                    **block,
                )
                for number in range(sizes["depths"][index])
            )
            stages.append(nn.ModuleList(blocks))
        self.stages_name = "layers" if key_style == "dense" else "stages"
        self.add_module(self.stages_name, stages)
        self._make_norms(dims, norm_after_stage, norm_cfg, key_style)
        self.out_channels = tuple(dims[index] for index in self.out_indices)
        self.out_strides = tuple(math.prod(strides[: index + 1]) for index in self.out_indices)
        self.hold_frozen()

    def window_of(self, stage: int, block: int) -> int | None:
        """Return the side of the windows that a block attends in, or None where it attends to a smaller map."""
        return None

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        for index, blocks in enumerate(getattr(self, self.stages_name)):
            x, shape = self.patch_embeds[index](x)
            x = self.position_encoding_drops[index](x)
            for number, block in enumerate(blocks):
                x = block(x, shape)
                if number == 0:
                    x = self.position_encodings[index](x, shape)
            x = to_map(self._norms[index](x), shape)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def _make_norms(self, dims: Sequence[int], flags: bool | Sequence[bool], norm_cfg: Cfg, key_style: str) -> None:
        flags = [flags] * len(dims) if isinstance(flags, bool) else flags
        norms = [
            build_norm_layer(dict(norm_cfg), own)[1] if flag else nn.Identity()
            for own, flag in zip(dims, flags, strict=True)
        ]
        if key_style == "dense":
            self.norm_list = nn.ModuleList(norms)
        else:
            for index, norm in enumerate(norms):
                self.add_module(f"norm_after_stage{index}", norm)

    @property
    def _norms(self) -> Sequence[nn.Module]:
        """The norms behind the stages."""
        if hasattr(self, "norm_list"):
            return list(self.norm_list)
        return [getattr(self, f"norm_after_stage{index}") for index in range(len(self.patch_embeds))]


@MODELS.register_module()
class SVT(PCPVT):
    """Attention in windows and to a smaller map in turn: Twins-SVT (Chu et al., arXiv:2104.13840).

    Args:
        *args: As of `PCPVT`.
        window_sizes: Side of the windows of each stage.
        windiow_sizes: The same, as published configs spell it.
        **kwargs: As of `PCPVT`.
    """

    arch_zoo = _table(
        {
            "small": ((64, 128, 256, 512), (2, 2, 10, 4), (2, 4, 8, 16), (4, 4, 4, 4)),
            "base": ((96, 192, 384, 768), (2, 2, 18, 2), (3, 6, 12, 24), (4, 4, 4, 4)),
            "large": ((128, 256, 512, 1024), (2, 2, 18, 2), (4, 8, 16, 32), (4, 4, 4, 4)),
        }
    )

    def __init__(
        self,
        *args: Any,
        window_sizes: Sequence[int] = (7, 7, 7, 7),
        windiow_sizes: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.window_sizes = tuple(windiow_sizes or window_sizes)  # before the rest: the blocks are made with it
        super().__init__(*args, **kwargs)

    def window_of(self, stage: int, block: int) -> int | None:
        """Return the side of the windows that a block attends in, or None where it attends to a smaller map."""
        return self.window_sizes[stage] if block % 2 == 0 else None

"""Pyramid transformers: stages of attention to a map that is made smaller first (PVT, PVTv2, SegFormer's encoder).

Shapes: B images, I channels in, C channels of a head, h_i heads of stage i, H rows, W columns, s_i the product of the
strides up to stage i. Stage i gives (B, C * h_i, H / s_i, W / s_i).

Names of parameters: layers.<stage>.0.{projection,norm} embeds, layers.<stage>.1.<block>.{norm1,attn.attn,attn.sr,
attn.norm,norm2,ffn.layers} attends, layers.<stage>.2 is the norm behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.backbones.base import Backbone, chosen
from visuite.cv.backbones.pvt_block import PositionEmbedding, PyramidBlock
from visuite.cv.backbones.tokens import drop_path_rates, to_map, token_init
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.patch_embed import PatchEmbed
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
_LAYER_NORM: Cfg = {"type": "LN", "eps": 1e-6}
_GELU: Cfg = {"type": "GELU"}


@MODELS.register_module()
class PyramidVisionTransformer(Backbone):
    """Pyramid vision transformer (Wang et al., arXiv:2102.12122).

    Under the names `PyramidVisionTransformerV2` and `PVTv2` (arXiv:2106.13797) it has overlapping patches, depthwise
    convolutions in the blocks' networks, and norms behind stages instead of position embeddings; as
    `MixVisionTransformer` (SegFormer, arXiv:2105.15203) the same, and narrower networks.

    Args:
        pretrain_img_size: H and W that position embeddings are made for.
        in_channels: I.
        embed_dims: C.
        num_stages: How many stages there are.
        num_layers: Blocks of each stage.
        num_heads: h_i.
        patch_sizes: Kernels of the convolutions that embed patches.
        strides: Their strides.
        paddings: Their paddings; by default half the kernel.
        sr_ratios: By how much a map is made smaller before queries look at it, in each direction.
        out_indices: Stages whose maps are handed out.
        mlp_ratios: Channels inside the blocks' networks, in those of their stage; one for all or for each.
        mlp_ratio: Another name of it.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual of the last block; it grows from 0.
        use_abs_pos_embed: Add learnt positions in each stage.
        norm_after_stage: Normalise behind each stage.
        use_conv_ffn: Have a depthwise 3x3 convolution in the blocks' networks.
        act_cfg: Their activation.
        norm_cfg: The norms' config.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        convert_weights: Recognise checkpoints with the names of others, the paper's authors for one.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: lists of unequal length, or stages that do not exist.
    """

    def __init__(
        self,
        pretrain_img_size: int | tuple[int, int] = 224,
        in_channels: int = 3,
        *,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        patch_sizes: Sequence[int] = (4, 2, 2, 2),
        strides: Sequence[int] = (4, 2, 2, 2),
        paddings: Sequence[int] | None = (0, 0, 0, 0),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        mlp_ratios: int | Sequence[int] = (8, 8, 4, 4),
        mlp_ratio: int | None = None,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = True,
        norm_after_stage: bool = False,
        use_conv_ffn: bool = False,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LAYER_NORM,
        with_cp: bool = False,
        pretrained: str | None = None,
        convert_weights: bool = True,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        ratios = mlp_ratios if mlp_ratio is None else mlp_ratio
        ratios = [ratios] * num_stages if isinstance(ratios, int) else list(ratios)
        paddings = [size // 2 for size in patch_sizes] if paddings is None else paddings
        _check_lengths(
            num_stages,
            num_layers=num_layers,
            num_heads=num_heads,
            patch_sizes=patch_sizes,
            strides=strides,
            paddings=paddings,
            sr_ratios=sr_ratios,
            mlp_ratios=ratios,
        )
        self.embed_dims = embed_dims
        self.out_indices = chosen(out_indices, num_stages)
        block: dict[str, Any] = {
            "qkv_bias": qkv_bias,
            "drop_rate": drop_rate,
            "attn_drop_rate": attn_drop_rate,
            "use_conv_ffn": use_conv_ffn,
            "act_cfg": act_cfg,
            "norm_cfg": norm_cfg,
            "with_cp": with_cp,
        }
        rates = iter(drop_path_rates(drop_path_rate, sum(num_layers[:num_stages])))
        self.layers = nn.ModuleList()
        width, size = in_channels, _pair(pretrain_img_size)
        for index in range(num_stages):
            dims = embed_dims * num_heads[index]
            embed = PatchEmbed(
                width,
                dims,
                kernel_size=patch_sizes[index],
                stride=strides[index],
                padding=paddings[index] or "corner",
                norm_cfg=norm_cfg,
                input_size=size,
            )
            assert embed.init_out_size is not None
            size = embed.init_out_size
            parts: list[nn.Module] = [PositionEmbedding(size, dims, drop_rate=drop_rate)] if use_abs_pos_embed else []
            hidden = int(ratios[index] * dims)
            parts += (
                PyramidBlock(
                    dims, num_heads[index], hidden, sr_ratio=sr_ratios[index], drop_path_rate=next(rates), **block
                )
                for _ in range(num_layers[index])
            )
            norm = build_norm_layer(dict(norm_cfg), dims)[1] if norm_after_stage else nn.Identity()
            self.layers.append(nn.ModuleList([embed, nn.ModuleList(parts), norm]))
            width = dims

        self.out_channels = tuple(embed_dims * num_heads[i] for i in self.out_indices)
        self.out_strides = tuple(math.prod(strides[: i + 1]) for i in self.out_indices)
        self.convert_weights = convert_weights
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map for each of `out_indices`, as the file's head says."""
        maps = []
        for index, stage in enumerate(self.layers):
            embed, parts, norm = stage.children()
            x, shape = embed(x)
            for part in parts.children():
                x = part(x, shape)
            x = to_map(norm(x), shape)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)


_OVERLAPPING: dict[str, Any] = {
    "patch_sizes": (7, 3, 3, 3),
    "paddings": (3, 1, 1, 1),
    "use_abs_pos_embed": False,
    "norm_after_stage": True,
    "use_conv_ffn": True,
}
for _name in ("PyramidVisionTransformerV2", "PVTv2"):
    MODELS.register_defaults(PyramidVisionTransformer, _name, **_OVERLAPPING)
MODELS.register_defaults(
    PyramidVisionTransformer,
    "MixVisionTransformer",
    **{**_OVERLAPPING, "paddings": None},
    num_heads=(1, 2, 4, 8),
    mlp_ratios=4,
    drop_path_rate=0.0,
)


def _check_lengths(count: int, **lists: Sequence[int]) -> None:
    for name, values in lists.items():
        if len(values) < count:
            raise ValueError(f"{name} {tuple(values)} has fewer entries than the {count} stages")

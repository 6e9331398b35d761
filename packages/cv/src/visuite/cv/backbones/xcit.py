"""XCiT: attention among channels instead of tokens, so that its cost grows with the number of tokens alone.

Shapes: B images, I channels in, C channels of a token, H rows, W columns, p pixels of a patch, L = H/p * W/p.

Names of parameters: cls_token, patch_embed.proj.0.{conv,bn}, ..., pos_embed.token_projection.conv,
xca_layers.0.{norm1,attn,norm3,local_mp,norm2,ffn,gamma1,gamma2,gamma3}, ..., ca_layers.0.*, ..., norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, check_frozen, chosen
from visuite.cv.backbones.tokens import learnt_tokens, to_map, token_init
from visuite.cv.backbones.xcit_layers import ClassAttentionLayer, ConvPatchEmbed, FourierPositions, XCALayer
from visuite.cv.layers.norm import build_norm_layer
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
_BATCH_NORM: Cfg = {"type": "BN"}
_LAYER_NORM: Cfg = {"type": "LN", "eps": 1e-6}
_GELU: Cfg = {"type": "GELU"}
_OUT_TYPES = ("raw", "featmap", "avg_featmap", "cls_token")


@MODELS.register_module()
class XCiT(Backbone):
    """Cross-covariance image transformer (El-Nouby et al., arXiv:2106.09681).

    Args:
        img_size: H and W in training; positions are computed for any.
        patch_size: p, a power of 2.
        in_channels: I.
        embed_dims: C.
        depth: Layers of cross-covariance attention.
        cls_attn_layers: Layers of class attention behind them.
        num_heads: Of both.
        mlp_ratio: Channels inside the layers' networks, in C.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_rate: The chance of a value behind a linear layer, and of the embedded patches, to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual, in all layers.
        use_pos_embed: Add the positions to the patches.
        layer_scale_init_value: Where the factors of residuals start.
        tokens_norm: Let the last norms of class attention work on patches too.
        out_indices: Layers whose tokens are handed out, counted through both kinds.
        frozen_stages: Train neither the embedding (0) nor the first n layers; -1 trains all.
        bn_norm_cfg: Of the norms of maps.
        ln_norm_cfg: Of the norms of tokens.
        act_cfg: The activations' config.
        final_norm: Normalise the tokens behind the last layer.
        out_type: `cls_token` (B, C), `featmap` (B, C, H/p, W/p), `avg_featmap` (B, C), its mean, or `raw`
            (B, 1 + L, C). There is a class token from the first layer of class attention on.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown `out_type`, `cls_token` of layers before there is one, or layers that do not exist.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        *,
        embed_dims: int = 768,
        depth: int = 12,
        cls_attn_layers: int = 2,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        use_pos_embed: bool = True,
        layer_scale_init_value: float = 1.0,
        tokens_norm: bool = False,
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = -1,
        bn_norm_cfg: Cfg = _BATCH_NORM,
        ln_norm_cfg: Cfg = _LAYER_NORM,
        act_cfg: Cfg = _GELU,
        final_norm: bool = True,
        out_type: str = "cls_token",
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        self.img_size, self.embed_dims = img_size, embed_dims
        self.depth, self.num_layers = depth, depth + cls_attn_layers
        self.out_indices = chosen(out_indices, self.num_layers)
        self.frozen_stages = check_frozen(frozen_stages, -1, self.num_layers)
        if out_type not in _OUT_TYPES:
            raise ValueError(f"out_type {out_type!r} is none of {_OUT_TYPES}")
        if out_type == "cls_token" and min(self.out_indices) < depth:
            raise ValueError(f"layers before {depth} have no class token: out_indices {self.out_indices}")
        self.out_type = out_type

        self.patch_embed = ConvPatchEmbed(in_channels, embed_dims, patch_size, norm_cfg=bn_norm_cfg, act_cfg=act_cfg)
        self.cls_token = learnt_tokens(1, 1, embed_dims)
        self.pos_embed = FourierPositions(embed_dims) if use_pos_embed else None
        self.pos_drop = nn.Dropout(drop_rate)

        shared: dict[str, Any] = {
            "dim": embed_dims,
            "num_heads": num_heads,
            "attention": {"qkv_bias": qkv_bias, "attn_drop": attn_drop_rate, "proj_drop": drop_rate},
            "network": {
                "feedforward_channels": int(embed_dims * mlp_ratio),
                "act_cfg": act_cfg,
                "ffn_drop": drop_rate,
            },
            "ln_norm_cfg": ln_norm_cfg,
            "drop_path": drop_path_rate,
            "layer_scale_init_value": layer_scale_init_value,
        }
        self.xca_layers = nn.ModuleList(
            XCALayer(**shared, bn_norm_cfg=bn_norm_cfg, act_cfg=act_cfg) for _ in range(depth)
        )
        self.ca_layers = nn.ModuleList(
            ClassAttentionLayer(**shared, tokens_norm=tokens_norm) for _ in range(cls_attn_layers)
        )
        self.norm = build_norm_layer(dict(ln_norm_cfg), embed_dims)[1] if final_norm else nn.Identity()
        self.out_channels = (embed_dims,) * len(self.out_indices)
        self.out_strides = (patch_size,) * len(self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one entry for each of `out_indices`, of the shape that `out_type` says."""
        x, shape = self.patch_embed(x)
        if self.pos_embed is not None:
            x = x + self.pos_embed(shape)
        x = self.pos_drop(x)
        outs = []
        for index, layer in enumerate((*self.xca_layers, *self.ca_layers)):
            if index == self.depth:
                x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
            x = layer(x, shape) if index < self.depth else layer(x)
            if index == self.num_layers - 1:
                x = self.norm(x)
            if index in self.out_indices:
                outs.append(self._format_output(x, shape, with_cls=index >= self.depth))
        return tuple(outs)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the embedding, the first layers, and with the last of them the norm behind it."""
        if self.frozen_stages < 0:
            return ()
        stem = [self.patch_embed, self.pos_drop] + ([self.pos_embed] if self.pos_embed is not None else [])
        end = (self.norm,) if self.frozen_stages == self.num_layers else ()
        return *stem, *(*self.xca_layers, *self.ca_layers)[: self.frozen_stages], *end

    def hold_frozen(self) -> None:
        """Take gradients from the class token too, once layers that read it are frozen."""
        super().hold_frozen()
        if self.frozen_stages > self.depth:
            self.cls_token.requires_grad_(False)

    def _format_output(self, x: torch.Tensor, shape: tuple[int, int], *, with_cls: bool) -> torch.Tensor:
        if self.out_type == "raw":
            return x
        if self.out_type == "cls_token":
            return x[:, 0]
        patches = x[:, 1:] if with_cls else x
        return to_map(patches, shape) if self.out_type == "featmap" else patches.mean(dim=1)

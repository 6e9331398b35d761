"""The layer of a transformer encoder.

Shapes: B images, L tokens, C channels, F channels inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.attention import MultiheadAttention, SelfAttention
from visuite.cv.layers.ffn import FFN, SwiGLUFFN
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.recompute import recompute

Cfg = Mapping[str, Any]
_GELU: Cfg = {"type": "GELU"}
_LAYER_NORM: Cfg = {"type": "LN", "eps": 1e-6}


class TransformerEncoderLayer(nn.Module):
    """Attention of tokens to each other, then a network on each: norms come first (Dosovitskiy, arXiv:2010.11929).

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        feedforward_channels: F.
        layer_scale_init_value: Where factors for each channel start; 0 is none.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual.
        num_fcs: Linear layers of the network.
        qkv_bias: Whether queries, keys and values have a bias.
        ffn_type: `origin`, or `swiglu_fused`, the gated one.
        act_cfg: The network's activation.
        norm_cfg: The norms' config.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        key_style: What the attention's weights are called: `cls` (`attn.qkv`, `attn.proj`), or `dense`
            (`attn.attn.in_proj_weight`, ...).

    Raises:
        ValueError: an unknown `ffn_type` or `key_style`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        *,
        layer_scale_init_value: float = 0.0,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        ffn_type: str = "origin",
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LAYER_NORM,
        with_cp: bool = False,
        key_style: str = "cls",
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        path = {"type": "DropPath", "drop_prob": drop_path_rate}
        drops: dict[str, Any] = {"attn_drop": attn_drop_rate, "proj_drop": drop_rate, "dropout_layer": path}
        self.ln1 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.attn: nn.Module
        if key_style == "cls":
            self.attn = SelfAttention(
                embed_dims, num_heads, **drops, qkv_bias=qkv_bias, layer_scale_init_value=layer_scale_init_value
            )
        elif key_style == "dense":
            self.attn = MultiheadAttention(embed_dims, num_heads, **drops, batch_first=True, bias=qkv_bias)
        else:
            raise ValueError(f"key_style {key_style!r} is neither 'cls' nor 'dense'")
        self.ln2 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        shared: dict[str, Any] = {"dropout_layer": path, "layer_scale_init_value": layer_scale_init_value}
        self.ffn: nn.Module
        if ffn_type == "origin":
            shared.update(num_fcs=num_fcs, ffn_drop=drop_rate, act_cfg=act_cfg)
            self.ffn = FFN(embed_dims, feedforward_channels, **shared)
        elif ffn_type == "swiglu_fused":
            self.ffn = SwiGLUFFN(embed_dims, feedforward_channels, **shared)
        else:
            raise ValueError(f"ffn_type {ffn_type!r} is neither 'origin' nor 'swiglu_fused'")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, L, C) to the same shape."""
        return recompute(self._forward, x, enabled=self.with_cp)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attn(self.ln1(x), identity=x)
        return self.ffn(self.ln2(x), identity=x)

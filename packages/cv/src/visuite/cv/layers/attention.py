"""Attention of tokens to tokens.

Shapes: B images, L queries, S keys, C channels, h heads, d = C / h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers.drop import build_dropout
from visuite.cv.layers.scale import LayerScale
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
_DROPOUT: Cfg = {"type": "Dropout", "drop_prob": 0.0}


class SelfAttention(nn.Module):
    """Attention of tokens to each other, with one linear layer, `qkv`, before and one, `proj`, behind.

    Args:
        embed_dims: C.
        num_heads: h.
        attn_drop: The chance of an attention weight to be zeroed.
        proj_drop: The chance of a value behind `proj` to be zeroed.
        dropout_layer: Config of what drops the result as a whole, such as `DropPath`.
        qkv_bias: Whether `qkv` has a bias.
        qk_scale: Factor of the products of queries and keys; by default d ** -0.5.
        proj_bias: Whether `proj` has a bias.
        layer_scale_init_value: Where factors for each channel, `gamma1`, start; 0 is none.

    Raises:
        ValueError: the heads do not divide the channels.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: Cfg = _DROPOUT,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        proj_bias: bool = True,
        layer_scale_init_value: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        self.num_heads = num_heads
        self.qk_scale = qk_scale
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(embed_dims, embed_dims, bias=proj_bias)
        self.proj_drop = nn.Dropout(proj_drop)
        self.out_drop = build_dropout(dict(dropout_layer))
        self.gamma1 = LayerScale(embed_dims, layer_scale_init_value) if layer_scale_init_value else nn.Identity()

    def forward(self, x: torch.Tensor, identity: torch.Tensor | None = None) -> torch.Tensor:
        """(B, L, C) to the same shape; `identity` is added if given."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        out = self.proj(self.attend(query, key, value).transpose(1, 2).flatten(2))
        out = self.out_drop(self.gamma1(self.proj_drop(out)))
        return out if identity is None else identity + out

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Return what the queries of each head find, all (B, h, L, d)."""
        if query.device.type == "cpu" and query.dtype == torch.bfloat16:
            # There plain products take a fraction of the time that the fused kernel does, above all backwards.
            scale = query.shape[-1] ** -0.5 if self.qk_scale is None else self.qk_scale
            return self.attn_drop((query * scale @ key.transpose(-2, -1)).softmax(dim=-1)).to(value.dtype) @ value
        chance = active_chance(self.attn_drop)
        return F.scaled_dot_product_attention(query, key, value, dropout_p=chance, scale=self.qk_scale)


@MODELS.register_module()
class MultiheadAttention(nn.Module):
    """`torch.nn.MultiheadAttention`, as `attn`, with positions added to queries and keys, and the way round it.

    Args:
        embed_dims: C.
        num_heads: h.
        attn_drop: The chance of an attention weight to be zeroed.
        proj_drop: The chance of a value of the result to be zeroed.
        dropout_layer: Config of what drops the result as a whole, such as `DropPath`.
        batch_first: Tensors are (B, L, C); else (L, B, C).
        dropout: One chance for both `attn_drop` and the dropping of the result, as configs of detectors say it.
        **kwargs: For `torch.nn.MultiheadAttention`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: Cfg | None = _DROPOUT,
        *,
        batch_first: bool = False,
        dropout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        if dropout is not None:
            attn_drop, dropout_layer = dropout, {**(dropout_layer or _DROPOUT), "drop_prob": dropout}
        self.embed_dims, self.num_heads, self.batch_first = embed_dims, num_heads, batch_first
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, attn_drop, batch_first=batch_first, **kwargs)
        self.proj_drop = nn.Dropout(proj_drop)
        self.dropout_layer = build_dropout(dict(dropout_layer)) if dropout_layer else nn.Identity()

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor | None = None,
        value: torch.Tensor | None = None,
        identity: torch.Tensor | None = None,
        query_pos: torch.Tensor | None = None,
        key_pos: torch.Tensor | None = None,
        attn_mask: torch.Tensor | None = None,
        key_padding_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """Return `identity` plus what the queries find, in the queries' shape.

        Args:
            query: (B, L, C), or (L, B, C).
            key: (B, S, C) or (S, B, C); by default the queries.
            value: Likewise; by default the keys, without positions.
            identity: What is added; by default the queries.
            query_pos: Added to the queries.
            key_pos: Added to the keys; by default `query_pos`, where it is of their shape.
            attn_mask: (L, S) or (B * h, L, S).
            key_padding_mask: (B, S), true where there is no key.
        """
        key = query if key is None else key
        value = key if value is None else value
        identity = query if identity is None else identity
        if key_pos is None and query_pos is not None and query_pos.shape == key.shape:
            key_pos = query_pos
        out = self.attn(
            query if query_pos is None else query + query_pos,
            key if key_pos is None else key + key_pos,
            value,
            attn_mask=attn_mask,
            key_padding_mask=key_padding_mask,
            need_weights=False,
        )[0]
        return identity + self.dropout_layer(self.proj_drop(out))


def active_chance(dropout: nn.Dropout) -> float:
    """Return the chance with which a dropout drops now."""
    return dropout.p if dropout.training else 0.0


def check_heads(embed_dims: int, num_heads: int) -> None:
    """Raise where heads would not be of one size."""
    if embed_dims % num_heads:
        raise ValueError(f"{num_heads} heads do not divide {embed_dims} channels")

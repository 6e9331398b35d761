"""The blocks of pyramid transformers.

Shapes: B images, H rows and W columns of tokens, C channels, F channels inside, r the reduction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones.tokens import drop_path_cfg, learnt_tokens, to_map, to_tokens
from visuite.cv.layers.activation import build_activation_layer
from visuite.cv.layers.attention import MultiheadAttention
from visuite.cv.layers.drop import DropPath
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.position import resize_pos_embed
from visuite.cv.layers.recompute import recompute

Cfg = Mapping[str, Any]
Shape = tuple[int, int]


class PositionEmbedding(nn.Module):
    """A learnt vector for each place, `pos_embed`, interpolated for maps of other sizes.

    Args:
        shape: Rows and columns that it is made for.
        dims: C.
        drop_rate: The chance of a value of the sum to be zeroed.
    """

    def __init__(self, shape: Shape, dims: int, *, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.pos_embed = learnt_tokens(1, shape[0] * shape[1], dims)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x: torch.Tensor, shape: Shape) -> torch.Tensor:
        """(B, H * W, C), and (H, W), to the same shape."""
        places = resize_pos_embed(self.pos_embed, self.shape, shape, mode="bilinear", num_extra_tokens=0)
        return self.drop(x + places)


class SpatialReductionAttention(MultiheadAttention):
    """Attention of tokens to a map that a convolution, `sr`, makes smaller by r in each direction.

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        sr_ratio: r.
        norm_cfg: Of the norm of the smaller map.
        **kwargs: As of `MultiheadAttention`.
    """

    def __init__(self, embed_dims: int, num_heads: int, *, sr_ratio: int, norm_cfg: Cfg, **kwargs: Any) -> None:
        super().__init__(embed_dims, num_heads, batch_first=True, **kwargs)
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = nn.Conv2d(embed_dims, embed_dims, sr_ratio, stride=sr_ratio)
            self.norm = build_norm_layer(dict(norm_cfg), embed_dims)[1]

    def attend(self, x: torch.Tensor, shape: Shape, identity: torch.Tensor) -> torch.Tensor:
        """(B, H * W, C), and (H, W), to the same shape, with `identity` added."""
        return self(x, self._reduced(x, shape), identity=identity)

    def _reduced(self, x: torch.Tensor, shape: Shape) -> torch.Tensor:
        if self.sr_ratio == 1:
            return x
        # A map smaller than the kernel becomes one token.
        below, right = (max(self.sr_ratio - size, 0) for size in shape)
        whole = F.pad(to_map(x, shape), (0, right, 0, below)) if below or right else to_map(x, shape)
        return self.norm(to_tokens(self.sr(whole))[0])


class MapFFN(nn.Module):
    """Two linear layers on each token, and perhaps a depthwise 3x3 convolution between, all in `layers`.

    Args:
        dims: C.
        hidden: F.
        use_conv: Have the convolution.
        act_cfg: The activation's config.
        drop_rate: The chance of a value behind a layer to be zeroed.
        drop_path_rate: The chance of a sample to lose the residual.
    """

    def __init__(
        self, dims: int, hidden: int, *, use_conv: bool, act_cfg: Cfg, drop_rate: float, drop_path_rate: float
    ) -> None:
        super().__init__()
        between = [nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)] if use_conv else []
        self.layers = nn.Sequential(
            nn.Conv2d(dims, hidden, 1),
            *between,
            build_activation_layer(dict(act_cfg)),
            nn.Dropout(drop_rate),
            nn.Conv2d(hidden, dims, 1),
            nn.Dropout(drop_rate),
        )
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: torch.Tensor, shape: Shape, identity: torch.Tensor) -> torch.Tensor:
        """(B, H * W, C), and (H, W), to the same shape, with `identity` added."""
        return identity + self.drop_path(to_tokens(self.layers(to_map(x, shape)))[0])


class PyramidBlock(nn.Module):
    """Attention to a smaller map, then a network on each token; norms come first.

    Args:
        dims: C.
        num_heads: Of the attention.
        hidden: F.
        sr_ratio: r.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual.
        use_conv_ffn: Have a depthwise convolution in the network.
        act_cfg: The network's activation.
        norm_cfg: The norms' config.
        with_cp: Compute activations again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        hidden: int,
        *,
        sr_ratio: int,
        qkv_bias: bool,
        drop_rate: float,
        attn_drop_rate: float,
        drop_path_rate: float,
        use_conv_ffn: bool,
        act_cfg: Cfg,
        norm_cfg: Cfg,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = build_norm_layer(dict(norm_cfg), dims)[1]
        self.attn = SpatialReductionAttention(
            dims,
            num_heads,
            sr_ratio=sr_ratio,
            norm_cfg=norm_cfg,
            attn_drop=attn_drop_rate,
            proj_drop=drop_rate,
            dropout_layer=drop_path_cfg(drop_path_rate),
            bias=qkv_bias,
        )
        self.norm2 = build_norm_layer(dict(norm_cfg), dims)[1]
        self.ffn = MapFFN(
            dims, hidden, use_conv=use_conv_ffn, act_cfg=act_cfg, drop_rate=drop_rate, drop_path_rate=drop_path_rate
        )

    def forward(self, x: torch.Tensor, shape: Shape) -> torch.Tensor:
        """(B, H * W, C), and (H, W), to the same shape."""

        def run(x: torch.Tensor) -> torch.Tensor:
            x = self.attn.attend(self.norm1(x), shape, identity=x)
            return self.ffn(self.norm2(x), shape, identity=x)

        return recompute(run, x, enabled=self.with_cp)

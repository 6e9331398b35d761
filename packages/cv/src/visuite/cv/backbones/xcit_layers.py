"""The layers of XCiT.

Shapes: B images, L patches, H rows and W columns of them, C channels, h heads, d = C / h.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones.tokens import to_map, to_tokens
from visuite.cv.layers.attention import SelfAttention, active_chance, check_heads
from visuite.cv.layers.conv_module import ConvModule
from visuite.cv.layers.drop import DropPath
from visuite.cv.layers.ffn import FFN
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.position import SinePositionalEncoding

Cfg = Mapping[str, Any]


class ConvPatchEmbed(nn.Module):
    """Patches by 3x3 convolutions of stride 2, each with twice the channels of the one before.

    Args:
        in_channels: Channels in.
        embed_dims: C.
        patch_size: Pixels of a patch, a power of 2.
        norm_cfg: The norms' config.
        act_cfg: The activation between convolutions.

    Raises:
        ValueError: another patch size.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int, *, norm_cfg: Cfg, act_cfg: Cfg) -> None:
        super().__init__()
        steps = patch_size.bit_length() - 1
        if patch_size != 2**steps or not steps or embed_dims % 2 ** (steps - 1):
            raise ValueError(f"patch_size {patch_size} is no power of 2 that fits {embed_dims} channels")
        widths = [in_channels, *(embed_dims // 2 ** (steps - 1 - step) for step in range(steps))]
        self.proj = nn.Sequential()
        for step in range(steps):
            act = dict(act_cfg) if step < steps - 1 else None
            conv = ConvModule(
                widths[step], widths[step + 1], 3, stride=2, padding=1, norm_cfg=dict(norm_cfg), act_cfg=act
            )
            self.proj.append(conv)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """(B, I, H * p, W * p) to (B, L, C), and (H, W)."""
        return to_tokens(self.proj(x))


class FourierPositions(nn.Module):
    """Sines and cosines of rows and columns, made C channels by a linear layer, `token_projection`.

    Args:
        embed_dims: C.
        hidden_dims: Channels for each axis.
        temperature: Of `SinePositionalEncoding`.
    """

    def __init__(self, embed_dims: int, hidden_dims: int = 32, temperature: float = 10000) -> None:
        super().__init__()
        self.encoding = SinePositionalEncoding(hidden_dims, temperature, normalize=True)
        self.token_projection = ConvModule(2 * hidden_dims, embed_dims, 1, act_cfg=None)

    def forward(self, shape: tuple[int, int]) -> torch.Tensor:
        """Return (1, L, C) for H rows and W columns."""
        weight: Any = self.token_projection.conv.weight
        waves = self.encoding(None, weight.new_empty(1, *shape))
        return to_tokens(self.token_projection(waves.to(weight.dtype)))[0]


class CrossCovarianceAttention(SelfAttention):
    """Attention of channels to channels, by their covariance over tokens.

    Args:
        embed_dims: C.
        num_heads: h; each has a learnt `temperature`.
        **kwargs: As of `SelfAttention`.
    """

    def __init__(self, embed_dims: int, num_heads: int, **kwargs: Any) -> None:
        super().__init__(embed_dims, num_heads, **kwargs)
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Mix the channels of the values as those of queries and keys agree, all (B, h, L, d)."""
        agreement = F.normalize(query, dim=-2).transpose(-2, -1) @ F.normalize(key, dim=-2)
        weights = self.attn_drop((agreement * self.temperature).softmax(dim=-1))
        return value @ weights.transpose(-2, -1)


class LocalPatches(nn.Module):
    """Two depthwise 3x3 convolutions, which let neighbouring patches speak to each other.

    Args:
        channels: C.
        norm_cfg: Of the norm behind the first.
        act_cfg: Of the activation before that.
    """

    def __init__(self, channels: int, *, norm_cfg: Cfg, act_cfg: Cfg) -> None:
        super().__init__()
        depthwise: dict[str, Any] = {"kernel_size": 3, "padding": 1, "groups": channels, "bias": True}
        self.conv1 = ConvModule(
            channels,
            channels,
            **depthwise,
            norm_cfg=dict(norm_cfg),
            act_cfg=dict(act_cfg),
            order=("conv", "act", "norm"),
        )
        self.conv2 = ConvModule(channels, channels, **depthwise, act_cfg=None)

    def forward(self, x: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """(B, L, C) to the same shape."""
        return to_tokens(self.conv2(self.conv1(to_map(x, shape))))[0]


class XCALayer(nn.Module):
    """Cross-covariance attention, local patches, a network on each token; norms first, factors for each residual.

    Args:
        dim: C.
        num_heads: h.
        attention: More arguments of the attention.
        network: More arguments of the network.
        bn_norm_cfg: Of the norm of local patches.
        ln_norm_cfg: Of the norms of tokens.
        act_cfg: The activation of local patches.
        drop_path: The chance of a sample to lose a residual.
        layer_scale_init_value: Where the factors, `gamma1` to `gamma3`, start.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        attention: Cfg,
        network: Cfg,
        bn_norm_cfg: Cfg,
        ln_norm_cfg: Cfg,
        act_cfg: Cfg,
        drop_path: float,
        layer_scale_init_value: float,
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(dict(ln_norm_cfg), dim)[1]
        self.attn = CrossCovarianceAttention(dim, num_heads, **attention)
        self.norm3 = build_norm_layer(dict(ln_norm_cfg), dim)[1]
        self.local_mp = LocalPatches(dim, norm_cfg=bn_norm_cfg, act_cfg=act_cfg)
        self.norm2 = build_norm_layer(dict(ln_norm_cfg), dim)[1]
        self.ffn = FFN(dim, **network, add_identity=False)
        self.drop_path = DropPath(drop_path)
        self.gamma1, self.gamma2, self.gamma3 = (
            nn.Parameter(torch.full((dim,), layer_scale_init_value)) for _ in range(3)
        )

    def forward(self, x: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """(B, L, C), and (H, W), to the same shape."""
        steps = (
            (self.gamma1, self.norm1, self.attn),
            (self.gamma3, self.norm3, partial(self.local_mp, shape=shape)),
            (self.gamma2, self.norm2, self.ffn),
        )
        for factors, norm, change in steps:
            x = x + self.drop_path(factors * change(norm(x)))
        return x


class ClassAttention(nn.Module):
    """Attention of the class token to all (Touvron et al., arXiv:2103.17239).

    Args:
        dim: C.
        num_heads: h.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop: The chance of an attention weight to be zeroed.
        proj_drop: The chance of a value of the result to be zeroed.
    """

    def __init__(
        self, dim: int, num_heads: int, *, qkv_bias: bool = True, attn_drop: float = 0.0, proj_drop: float = 0.0
    ) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads = num_heads
        self.q, self.k, self.v = (nn.Linear(dim, dim, bias=qkv_bias) for _ in range(3))
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1 + L, C) to the class token (B, 1, C)."""
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.q(x[:, :1]), self.k(x), self.v(x))
        )
        out = F.scaled_dot_product_attention(query, key, value, dropout_p=active_chance(self.attn_drop))
        return self.proj_drop(self.proj(out.transpose(1, 2).flatten(2)))


class ClassAttentionLayer(nn.Module):
    """Class attention, and a network on the class token; norms first, factors for each residual.

    Args:
        dim: C.
        num_heads: h.
        attention: More arguments of the attention.
        network: More arguments of the network.
        ln_norm_cfg: Of the norms.
        drop_path: The chance of a sample to lose a residual.
        layer_scale_init_value: Where the factors, `gamma1` and `gamma2`, start.
        tokens_norm: Let the second norm work on patches too.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        attention: Cfg,
        network: Cfg,
        ln_norm_cfg: Cfg,
        drop_path: float,
        layer_scale_init_value: float,
        tokens_norm: bool,
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(dict(ln_norm_cfg), dim)[1]
        self.attn = ClassAttention(dim, num_heads, **attention)
        self.norm2 = build_norm_layer(dict(ln_norm_cfg), dim)[1]
        self.ffn = FFN(dim, **network, add_identity=False)
        self.drop_path = DropPath(drop_path)
        self.gamma1, self.gamma2 = (nn.Parameter(torch.full((dim,), layer_scale_init_value)) for _ in range(2))
        self.tokens_norm = tokens_norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1 + L, C) to the same shape.

        Patches go round both residuals as well as through them, and so are doubled by the second: that is how the
        published weights were trained.
        """
        normed = self.norm1(x)
        x = x + self.drop_path(self.gamma1 * torch.cat([self.attn(normed), normed[:, 1:]], dim=1))
        cls, patches = x[:, :1], x[:, 1:]
        x = self.norm2(x) if self.tokens_norm else torch.cat([self.norm2(cls), patches], dim=1)
        cls, patches = x[:, :1], x[:, 1:]
        return x + self.drop_path(torch.cat([self.gamma2 * self.ffn(cls), patches], dim=1))

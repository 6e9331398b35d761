"""Attention of the pixels of one map to those of another.

Shapes: B images, C channels of queries, D channels of keys and values, M channels inside, K channels out, N pixels
asking, S pixels asked.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from visuite.seg.layers.conv_options import ConvOptions


class SelfAttentionBlock(nn.Module):
    """General attention between maps (Wang et al., arXiv:1711.07971).

    Its parts are `query_project`, `key_project`, `value_project` and perhaps `out_project`: a convolution each, or
    several as `<project>.0`, `<project>.1`, ...

    Args:
        key_in_channels: D.
        query_in_channels: C.
        channels: M.
        out_channels: K.
        share_key_query: Let one projection make queries and keys.
        query_downsample: Makes queries fewer, behind their projection.
        key_downsample: Makes keys and values fewer.
        key_query_num_convs: Convolutions of the projections of queries and keys.
        value_out_num_convs: Those of the projections of values and of the result.
        key_query_norm: Whether those of queries and keys have a norm and an activation.
        value_out_norm: Whether the others have.
        matmul_norm: Divide the products by the square root of M.
        with_out: Have a projection of the result; else values have K channels.
        options: Of the convolutions.

    Raises:
        ValueError: a shared projection for maps of different channels.
    """

    def __init__(
        self,
        key_in_channels: int,
        query_in_channels: int,
        *,
        channels: int,
        out_channels: int,
        share_key_query: bool = False,
        query_downsample: nn.Module | None = None,
        key_downsample: nn.Module | None = None,
        key_query_num_convs: int = 1,
        value_out_num_convs: int = 1,
        key_query_norm: bool = True,
        value_out_norm: bool = True,
        matmul_norm: bool = True,
        with_out: bool = True,
        options: ConvOptions,
    ) -> None:
        super().__init__()
        if share_key_query and key_in_channels != query_in_channels:
            raise ValueError(
                f"queries of {query_in_channels} and keys of {key_in_channels} channels share no projection"
            )
        self.channels = channels
        self.matmul_norm = matmul_norm
        self.query_downsample = query_downsample
        self.key_downsample = key_downsample
        inner = (key_query_num_convs, key_query_norm)
        outer = (value_out_num_convs, value_out_norm)
        self.key_project = _project(options, key_in_channels, channels, *inner)
        self.query_project = (
            self.key_project if share_key_query else _project(options, query_in_channels, channels, *inner)
        )
        self.value_project = _project(options, key_in_channels, channels if with_out else out_channels, *outer)
        self.out_project = _project(options, channels, out_channels, *outer) if with_out else None

    def forward(self, query_feats: torch.Tensor, key_feats: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, h, w) and (B, D, h', w') to (B, K, h, w), or to fewer pixels with `query_downsample`."""
        query = self.query_project(query_feats)
        if self.query_downsample is not None:
            query = self.query_downsample(query)
        key, value = self.key_project(key_feats), self.value_project(key_feats)
        if self.key_downsample is not None:
            key, value = self.key_downsample(key), self.key_downsample(value)
        q, k, v = (x.flatten(2).transpose(1, 2) for x in (query, key, value))  # (B, N, M), (B, S, M), (B, S, K)
        found = F.scaled_dot_product_attention(q, k, v, scale=self.channels**-0.5 if self.matmul_norm else 1.0)
        context = found.transpose(1, 2).unflatten(2, query.shape[2:])
        return context if self.out_project is None else self.out_project(context)


def _project(options: ConvOptions, in_channels: int, channels: int, count: int, with_norm: bool) -> nn.Module:
    """Make `count` 1x1 convolutions."""
    widths = [in_channels] + [channels] * count
    convs = [options.conv(wide, channels) if with_norm else nn.Conv2d(wide, channels, 1) for wide in widths[:-1]]
    return convs[0] if count == 1 else nn.Sequential(*convs)

"""Attention by content and by place, each to be switched on and off.

Shapes: B images, C channels, h heads, d = C / h, H x W positions that ask, Y x X positions that are asked, P numbers
that describe a distance.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.model import caffe2_xavier_init
from visuite.engine.registry import MODELS

_WAVE_LENGTH = 1000


@MODELS.register_module()
class GeneralizedAttention(nn.Module):
    """Attention whose weights are sums of four terms (Zhu et al., arXiv:1904.05873).

    The terms are, in the order of `attention_type`: what asks times what is asked; what asks times the distance; what
    is asked alone; the distance alone. Distances along rows and columns are described apart, and added.

    Names of parameters: query_conv, key_conv, value_conv, appr_geom_fc_x, appr_geom_fc_y, appr_bias, geom_bias,
    proj_conv, gamma; those of terms that are off are not there.

    Args:
        in_channels: C.
        spatial_range: How many pixels away something may be to be asked, at least up to the next one; -1 is any.
        num_heads: h.
        position_embedding_dim: 2 P; by default C.
        position_magnitude: Factor of the distances.
        kv_stride: Ask only each so manieth pixel.
        q_stride: Let only each so manieth pixel ask, and enlarge what is found.
        attention_type: Four times 0 or 1.

    Raises:
        ValueError: `attention_type` is something else, or all terms are off.
    """

    _abbr_ = "gen_attention_block"

    def __init__(
        self,
        in_channels: int,
        spatial_range: int = -1,
        *,
        num_heads: int = 9,
        position_embedding_dim: int = -1,
        position_magnitude: float = 1,
        kv_stride: int = 2,
        q_stride: int = 1,
        attention_type: str = "1111",
    ) -> None:
        super().__init__()
        if len(attention_type) != 4 or not set(attention_type) <= set("01") or "1" not in attention_type:
            raise ValueError(f"attention_type is four times 0 or 1, not all 0, and not {attention_type!r}")
        by_content, by_distance, key_alone, distance_alone = (term == "1" for term in attention_type)
        self.asks_content, self.asks_distance = by_content, by_distance
        self.num_heads = num_heads
        self.spatial_range = spatial_range
        self.position_embedding_dim = position_embedding_dim if position_embedding_dim > 0 else in_channels
        self.position_magnitude = position_magnitude
        self.kv_stride, self.q_stride = kv_stride, q_stride

        head = in_channels // num_heads
        width = head * num_heads
        self.query_conv = nn.Conv2d(in_channels, width, 1, bias=False) if by_content or by_distance else None
        self.key_conv = nn.Conv2d(in_channels, width, 1, bias=False) if by_content or key_alone else None
        self.value_conv = nn.Conv2d(in_channels, width, 1, bias=False)
        described = self.position_embedding_dim // 2
        uses_distance = by_distance or distance_alone
        self.appr_geom_fc_x = nn.Linear(described, width, bias=False) if uses_distance else None
        self.appr_geom_fc_y = nn.Linear(described, width, bias=False) if uses_distance else None
        bound = 1 / math.sqrt(2 * head)
        self.appr_bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound)) if key_alone else None
        self.geom_bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound)) if distance_alone else None
        self.proj_conv = nn.Conv2d(width, in_channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the weights; `gamma` is 0, so that the block begins as the identity."""
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                caffe2_xavier_init(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        asking = x[..., :: self.q_stride, :: self.q_stride]
        asked = x[..., :: self.kv_stride, :: self.kv_stride]
        rows, columns = asking.shape[2:]
        energy = self._energy(asking, asked)
        if self.spatial_range >= 0:
            energy = energy.masked_fill(self._too_far(asking, asked), -math.inf)
        share = energy.flatten(-2).softmax(dim=-1).expand(len(x), -1, rows, columns, -1)
        value = self._heads(self.value_conv(asked)).flatten(-2)
        found = torch.einsum("bhyxk,bhdk->bhdyx", share, value).flatten(1, 2)
        found = self.proj_conv(found)
        if self.q_stride > 1:
            found = F.interpolate(found, size=x.shape[2:], mode="bilinear", align_corners=False)
        return self.gamma * found + x

    def _energy(self, asking: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Return the sum of the terms, (B, h, H, W, Y, X); where a side makes no difference, it has 1."""
        query = None if self.query_conv is None else self._heads(self.query_conv(asking))
        terms = []
        if self.key_conv is not None:
            by = self._sum(query if self.asks_content else None, self.appr_bias)
            terms.append(torch.einsum("bhdij,bhdyx->bhijyx", by, self._heads(self.key_conv(asked))))
        if self.appr_geom_fc_x is not None and self.appr_geom_fc_y is not None:
            by = self._sum(query if self.asks_distance else None, self.geom_bias)
            down = self._described(self.appr_geom_fc_y, self._distances(asking, asked, axis=0))
            right = self._described(self.appr_geom_fc_x, self._distances(asking, asked, axis=1))
            terms.append(torch.einsum("bhdij,iyhd->bhijy", by, down)[..., None])
            terms.append(torch.einsum("bhdij,jxhd->bhijx", by, right)[..., None, :])
        return reduce(torch.add, terms)

    def _sum(self, query: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
        """Return what a term asks by, (B, h, d, H, W), or (1, h, d, 1, 1) where it is the same everywhere."""
        parts = [] if query is None else [query]
        parts += [] if bias is None else [self._heads(bias[None, :, None, None])]
        return reduce(torch.add, parts)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, ...) to (B, h, d, ...)."""
        return x.unflatten(1, (self.num_heads, -1))

    def _distances(self, asking: torch.Tensor, asked: torch.Tensor, *, axis: int) -> torch.Tensor:
        """Return by how many pixels those that ask lie behind those asked, (H, Y) or (W, X)."""
        ours, theirs = (torch.arange(one.shape[2 + axis], device=one.device) for one in (asking, asked))
        return (ours * self.q_stride)[:, None] - (theirs * self.kv_stride)[None]

    def _described(self, project: nn.Module, distances: torch.Tensor) -> torch.Tensor:
        """Return what heads make of sines, then cosines, of waves whose lengths grow: (H, Y) to (H, Y, h, d)."""
        waves = self.position_embedding_dim // 4
        powers = torch.arange(waves, device=distances.device) * (4 / self.position_embedding_dim)
        phase = (distances * self.position_magnitude)[..., None] / _WAVE_LENGTH**powers
        described = torch.cat((phase.sin(), phase.cos()), dim=-1).to(self.gamma.dtype)
        return project(described).unflatten(-1, (self.num_heads, -1)) / math.sqrt(2)

    def _too_far(self, asking: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Return which pairs are out of range, (H, W, Y, X)."""
        most = max(self.spatial_range, self.kv_stride - 1)
        down, right = (self._distances(asking, asked, axis=axis).abs() > most for axis in (0, 1))
        return down[:, None, :, None] | right[None, :, None, :]

"""Attention that reads a few learned points of several feature maps (Zhu et al., Deformable DETR, arXiv:2010.04159).

Shapes: B samples, Q queries, S pixels of all levels together, C channels; M heads of D channels, L levels, P points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.ops.boxes import full_precision
from visuite.engine.model import BaseModule, constant_init, xavier_init
from visuite.engine.registry import MODELS

Shapes = torch.Tensor | Sequence[Sequence[int]]


def multi_scale_deformable_attn_pytorch(
    value: torch.Tensor,
    value_spatial_shapes: Shapes,
    sampling_locations: torch.Tensor,
    attention_weights: torch.Tensor,
) -> torch.Tensor:
    """Read points of each level's map by bilinear interpolation, and sum them up by their weights.

    Half-precision values are read in float32, since a location needs the digits, and returned as they came.

    Args:
        value: (B, S, M, D), the levels one after another.
        value_spatial_shapes: Height and width of each level, (L, 2). Pairs of ints spare a wait for the device, and are
            what an export needs.
        sampling_locations: (B, Q, M, L, P, 2), x and y in [0, 1] of the map; outside of it there is 0.
        attention_weights: (B, Q, M, L, P).

    Returns:
        (B, Q, M * D).

    Raises:
        ValueError: the levels do not have S pixels together.
    """
    sizes = _as_pairs(value_spatial_shapes)
    pixels = [height * width for height, width in sizes]
    if sum(pixels) != value.shape[1]:
        raise ValueError(f"levels of {sizes} have {sum(pixels)} pixels together, the values {value.shape[1]}")
    maps = full_precision(value).permute(0, 2, 3, 1).flatten(0, 1)  # (B * M, D, S)
    grids = (sampling_locations.to(maps.dtype) * 2 - 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)  # (B * M, L, Q, P, 2)
    weights = attention_weights.to(maps.dtype).transpose(1, 2).flatten(0, 1)  # (B * M, Q, L, P)
    out = maps.new_zeros(maps.shape[0], maps.shape[1], grids.shape[2])
    for level, (size, pixels_of_level) in enumerate(zip(sizes, maps.split(pixels, dim=-1), strict=True)):
        image = pixels_of_level.unflatten(-1, size)
        row = grids[:, level].flatten(1, 2).unsqueeze(1)  # one long row: the sampler is fast along rows
        points = F.grid_sample(image, row, align_corners=False).reshape(*out.shape, grids.shape[3])  # (B * M, D, Q, P)
        out = out + (points * weights[:, None, :, level]).sum(dim=-1)
    return out.unflatten(0, value.shape[::2][:2]).flatten(1, 2).transpose(1, 2).to(value.dtype)


def _as_pairs(shapes: Shapes) -> list[tuple[int, int]]:
    pairs = shapes.tolist() if isinstance(shapes, torch.Tensor) else shapes
    return [(height, width) for height, width in pairs]


@MODELS.register_module()
class MultiScaleDeformableAttention(BaseModule):
    """Deformable attention over several levels, with its residual path.

    Args:
        embed_dims: Channels C of queries and output.
        num_heads: Heads M.
        num_levels: Levels L.
        num_points: Points P of a query, head and level.
        im2col_step: Without effect.
        dropout: The chance of an output to be zeroed.
        batch_first: Whether queries and values are (B, Q, C) or (Q, B, C).
        norm_cfg: Without effect; transformer layers own their norms.
        init_cfg: Of the module.
        value_proj_ratio: Channels of the values, as a part of C.

    Raises:
        ValueError: channels that cannot be split into that many heads.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        im2col_step: int = 64,
        dropout: float = 0.1,
        batch_first: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        value_proj_ratio: float = 1.0,
    ) -> None:
        super().__init__(init_cfg)
        value_dims = int(embed_dims * value_proj_ratio)
        for dims in (embed_dims, value_dims):
            if dims % num_heads:
                raise ValueError(f"{dims} channels cannot be split into num_heads={num_heads}")
        self.embed_dims, self.num_heads = embed_dims, num_heads
        self.num_levels, self.num_points = num_levels, num_points
        self.im2col_step, self.norm_cfg, self.batch_first = im2col_step, norm_cfg, batch_first
        reads = num_heads * num_levels * num_points
        self.sampling_offsets = nn.Linear(embed_dims, reads * 2)
        self.attention_weights = nn.Linear(embed_dims, reads)
        self.value_proj = nn.Linear(embed_dims, value_dims)
        self.output_proj = nn.Linear(value_dims, embed_dims)
        self.dropout = nn.Dropout(dropout)
        self.init_weights()
        self.is_init = False  # a model that initialises its parts may do so again

    def init_weights(self) -> None:
        """Let each head look into a direction of its own, point p being p pixels away, and weigh all alike."""
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        directions = torch.stack((angles.cos(), angles.sin()), dim=-1)
        directions = directions / directions.abs().amax(dim=-1, keepdim=True)  # onto the edge of a square
        steps = torch.arange(1, self.num_points + 1)
        start = directions[:, None, None, :] * steps[:, None]  # (M, 1, P, 2)
        constant_init(self.sampling_offsets, 0)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(start.expand(-1, self.num_levels, -1, -1).flatten())
        constant_init(self.attention_weights, 0)
        xavier_init(self.value_proj, distribution="uniform")
        xavier_init(self.output_proj, distribution="uniform")
        self.is_init = True

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor | None = None,
        value: torch.Tensor | None = None,
        identity: torch.Tensor | None = None,
        query_pos: torch.Tensor | None = None,
        key_padding_mask: torch.Tensor | None = None,
        reference_points: torch.Tensor | None = None,
        spatial_shapes: Shapes | None = None,
        level_start_index: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Attend, and add the result to `identity`.

        Args:
            query: (Q, B, C), or (B, Q, C) with `batch_first`.
            key: Without effect: weights are read off the query alone.
            value: (S, B, C), or (B, S, C) with `batch_first`; by default the query.
            identity: What is added to, of the query's shape; by default the query.
            query_pos: The query's positional encoding, of its shape.
            key_padding_mask: (B, S), True where a pixel is padding and counts as 0.
            reference_points: In [0, 1] of the map: centres (B, Q, L, 2), or boxes `cxcywh` (B, Q, L, 4).
            spatial_shapes: Height and width of each level, (L, 2).
            level_start_index: Without effect: it follows from the shapes.
            **kwargs: Without effect: what other attentions of the same layer are given.

        Returns:
            The query's shape.

        Raises:
            TypeError: `reference_points` or `spatial_shapes` is missing.
            ValueError: shapes that do not go together.
        """
        if reference_points is None or spatial_shapes is None:
            raise TypeError("deformable attention needs reference_points and spatial_shapes")
        value = query if value is None else value
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.transpose(0, 1), value.transpose(0, 1)
        value = self.value_proj(value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], 0)
        shapes = _as_pairs(spatial_shapes)
        out = multi_scale_deformable_attn_pytorch(
            value.unflatten(-1, (self.num_heads, -1)),
            shapes,
            self._locations(query, full_precision(reference_points), shapes),
            self._weights(query),
        )
        out = self.output_proj(out)
        return self.dropout(out if self.batch_first else out.transpose(0, 1)) + identity

    def _weights(self, query: torch.Tensor) -> torch.Tensor:
        """Return the weights (B, Q, M, L, P) of (B, Q, C); those of a head sum to 1 over levels and points."""
        scores = self.attention_weights(query).unflatten(-1, (self.num_heads, -1))
        return scores.softmax(dim=-1).unflatten(-1, (self.num_levels, self.num_points))

    def _locations(self, query: torch.Tensor, reference: torch.Tensor, shapes: list[tuple[int, int]]) -> torch.Tensor:
        """Return where to read (B, Q, M, L, P, 2): so many pixels from a centre, or so many P-ths of half a box."""
        offsets = self.sampling_offsets(query).to(reference.dtype)
        offsets = offsets.unflatten(-1, (self.num_heads, self.num_levels, self.num_points, 2))
        centre = reference[:, :, None, :, None, :2]
        if reference.shape[-1] == 2:
            size = reference.new_tensor([(width, height) for height, width in shapes])[:, None]
            return centre + offsets / size
        if reference.shape[-1] == 4:
            return centre + offsets / self.num_points * reference[:, :, None, :, None, 2:] / 2
        raise ValueError(f"reference_points have 2 or 4 numbers each, not {reference.shape[-1]}")

"""Where a token stands: encodings that are computed, and embeddings that are learnt.

Shapes: B images, H rows and W columns of positions, L = H * W, F features for each axis, C channels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.registry import MODELS


@MODELS.register_module()
class SinePositionalEncoding(nn.Module):
    """Sines and cosines of the row and the column (Vaswani et al., arXiv:1706.03762; in 2-D: arXiv:2005.12872).

    Positions count from 1, over what the mask leaves.

    Args:
        num_feats: F; the encoding has 2F channels, those of the row first.
        temperature: The ratio of the longest wave to the shortest.
        normalize: Let the last position be `scale`, whatever the size.
        scale: See there.
        eps: Added to the divisor of that.
        offset: Added to positions before they are normalised.
    """

    def __init__(
        self,
        num_feats: int,
        temperature: float = 10000,
        *,
        normalize: bool = False,
        scale: float = 2 * math.pi,
        eps: float = 1e-6,
        offset: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_feats = num_feats
        #: Position p of n becomes (p + offset) / (n + eps) * scale.
        self.normal = (offset, eps, scale) if normalize else None
        self.wavelengths = [temperature ** (feature // 2 * 2 / num_feats) for feature in range(num_feats)]

    def forward(self, mask: torch.Tensor | None, input: torch.Tensor | None = None) -> torch.Tensor:
        """Return the encoding (B, 2F, H, W).

        Args:
            mask: (B, H, W), nonzero where there is no image; or None.
            input: Without a mask, a tensor (B, ..., H, W) that is all image.

        Raises:
            ValueError: neither is given.
        """
        if mask is None:
            if input is None:
                raise ValueError("SinePositionalEncoding needs a mask or an input")
            inside = input.new_ones(input.shape[0], *input.shape[-2:], dtype=torch.float32)
        else:
            inside = (mask == 0).float()
        waves = [self._waves(inside.cumsum(axis), axis) for axis in (1, 2)]
        return torch.cat(waves, dim=-1).permute(0, 3, 1, 2)

    def _waves(self, position: torch.Tensor, axis: int) -> torch.Tensor:
        """Positions (B, H, W) along an axis to (B, H, W, F): sine and cosine in turn."""
        if self.normal is not None:
            offset, eps, scale = self.normal
            last = position.narrow(axis, position.shape[axis] - 1, 1)
            position = (position + offset) / (last + eps) * scale
        phase = position[..., None] / position.new_tensor(self.wavelengths)
        return torch.stack([phase[..., 0::2].sin(), phase[..., 1::2].cos()], dim=-1).flatten(-2)


@MODELS.register_module()
class LearnedPositionalEncoding(nn.Module):
    """One learnt vector for each column and each row.

    Args:
        num_feats: F; the encoding has 2F channels, those of the column first.
        row_num_embed: The most rows.
        col_num_embed: The most columns.
    """

    def __init__(self, num_feats: int, row_num_embed: int = 50, col_num_embed: int = 50) -> None:
        super().__init__()
        self.row_embed = nn.Embedding(row_num_embed, num_feats)
        self.col_embed = nn.Embedding(col_num_embed, num_feats)
        nn.init.uniform_(self.row_embed.weight)
        nn.init.uniform_(self.col_embed.weight)

    def forward(self, mask: torch.Tensor) -> torch.Tensor:
        """Return the encoding (B, 2F, H, W) for a mask (B, H, W), of which only the shape counts.

        Raises:
            ValueError: there are more rows or columns than vectors.
        """
        batch, rows, columns = mask.shape
        if rows > self.row_embed.num_embeddings or columns > self.col_embed.num_embeddings:
            most = (self.row_embed.num_embeddings, self.col_embed.num_embeddings)
            raise ValueError(f"a map of {(rows, columns)} positions, but embeddings for {most}")
        row = self.row_embed.weight[:rows, None].expand(-1, columns, -1)
        column = self.col_embed.weight[None, :columns].expand(rows, -1, -1)
        return torch.cat([column, row], dim=-1).permute(2, 0, 1).expand(batch, -1, -1, -1)


def resize_pos_embed(
    pos_embed: torch.Tensor,
    src_shape: tuple[int, int],
    dst_shape: tuple[int, int],
    *,
    mode: str = "bicubic",
    num_extra_tokens: int = 1,
) -> torch.Tensor:
    """Interpolate the embedding of a grid to another grid.

    Args:
        pos_embed: (1, E + H * W, C).
        src_shape: (H, W).
        dst_shape: The H and W wanted.
        mode: See `torch.nn.functional.interpolate`.
        num_extra_tokens: E, tokens in front that stand nowhere and stay as they are.

    Raises:
        ValueError: the embedding is not of that size.
    """
    if tuple(src_shape) == tuple(dst_shape):
        return pos_embed
    length = pos_embed.shape[1] - num_extra_tokens
    if length != src_shape[0] * src_shape[1]:
        raise ValueError(f"a position embedding for {length} places is not one of {tuple(src_shape)}")
    extra, grid = pos_embed[:, :num_extra_tokens], pos_embed[:, num_extra_tokens:]
    grid = grid.transpose(1, 2).unflatten(2, tuple(src_shape))
    # Half precision lacks some of these modes on CPUs, and loses most there.
    resized = F.interpolate(grid.float(), size=tuple(dst_shape), mode=mode, align_corners=_align(mode))
    return torch.cat([extra, resized.to(pos_embed.dtype).flatten(2).transpose(1, 2)], dim=1)


def square_side(length: int) -> int:
    """Return the side of a square of so many places.

    Raises:
        ValueError: it is no square.
    """
    side = math.isqrt(length)
    if side * side != length:
        raise ValueError(f"a position embedding for {length} places is of no square, so its shape is not known")
    return side


def _align(mode: str) -> bool | None:
    return None if mode in ("nearest", "area", "nearest-exact") else False

"""Attention inside windows of a map.

Shapes: B images, H rows and W columns of tokens, C channels, h heads, w side of a window, N = w * w, n windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.layers.attention import check_heads
from visuite.cv.layers.drop import build_dropout

Cfg = Mapping[str, Any]
_NO_DROP: Cfg = {"type": "DropPath", "drop_prob": 0.0}
#: Added before the softmax where a token must not look; finite, so that half precision stays so too.
_BARRED = -100.0


class WindowMSA(nn.Module):
    """Attention in windows, with a learnt bias for each offset between two tokens (Liu et al., arXiv:2103.14030).

    Windows smaller than `window_size` use the biases of the offsets they have. Biases for another window size are
    interpolated when loaded.

    Args:
        embed_dims: C.
        window_size: w, or rows and columns.
        num_heads: h.
        qkv_bias: Whether queries, keys and values have a bias.
        qk_scale: Factor of the products of queries and keys; by default (C / h) ** -0.5.
        attn_drop: The chance of an attention weight to be zeroed.
        proj_drop: The chance of a value of the result to be zeroed.

    Raises:
        ValueError: the heads do not divide the channels.
    """

    relative_position_index: torch.Tensor

    def __init__(
        self,
        embed_dims: int,
        window_size: int | tuple[int, int],
        num_heads: int,
        *,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        self.window_size = _pair(window_size)
        self.num_heads = num_heads
        self.qk_scale = (embed_dims // num_heads) ** -0.5 if qk_scale is None else qk_scale
        rows, columns = self.window_size
        offsets = (2 * rows - 1) * (2 * columns - 1)
        table = nn.init.trunc_normal_(torch.empty(offsets, num_heads), std=0.02)
        self.relative_position_bias_table = nn.Parameter(table)
        self.register_buffer("relative_position_index", _offset_index(rows, columns, 2 * columns - 1, rows, columns))
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(proj_drop)
        self.register_load_state_dict_pre_hook(_fit_bias)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, size: tuple[int, int] | None = None
    ) -> torch.Tensor:
        """(B, n, N, C) to the same shape.

        Args:
            x: The tokens of each window.
            mask: (n, N, N), added before the softmax.
            size: Rows and columns of the windows, where they are smaller than `window_size`.
        """
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
        bias = self._bias(size or self.window_size)
        if mask is not None:
            bias = bias + mask[:, None].to(bias.dtype)
        # For windows of this size two plain products are faster than the fused kernel, which dense biases slow down.
        scores = query * self.qk_scale @ key.transpose(-2, -1) + bias.to(query.dtype)
        out = self.attn_drop(scores.softmax(dim=-1)) @ value
        return self.proj_drop(self.proj(out.transpose(2, 3).flatten(3)))

    def _bias(self, size: tuple[int, int]) -> torch.Tensor:
        """Return the biases (h, N, N) of windows of a size."""
        index = self.relative_position_index
        if size != self.window_size:
            rows, columns = self.window_size
            index = _offset_index(*size, 2 * columns - 1, rows, columns).to(index.device)
        return self.relative_position_bias_table[index].permute(2, 0, 1)


class ShiftWindowMSA(nn.Module):
    """Cut a map into windows, attend inside each, and put it together again; windows may be shifted.

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        window_size: w.
        shift_size: How far windows are shifted; less than w.
        qkv_bias: See `WindowMSA`, as the next three.
        qk_scale: See there.
        attn_drop: See there.
        proj_drop: See there.
        dropout_layer: Config of what drops the result as a whole, such as `DropPath`.
        pad_small_map: What becomes of maps no larger than a window: padded to one and shifted like others, as dense
            tasks do it; or made one window that is not shifted.

    Raises:
        ValueError: `shift_size` is negative or no less than w.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int,
        shift_size: int = 0,
        *,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: Cfg = _NO_DROP,
        pad_small_map: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= shift_size < window_size:
            raise ValueError(f"shift_size is 0 to {window_size - 1}, not {shift_size}")
        self.window_size = window_size
        self.shift_size = shift_size
        self.pad_small_map = pad_small_map
        self.w_msa = WindowMSA(
            embed_dims,
            window_size,
            num_heads,
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            attn_drop=attn_drop,
            proj_drop=proj_drop,
        )
        self.drop = build_dropout(dict(dropout_layer))

    def forward(self, x: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """Tokens (B, H * W, C), and (H, W), to tokens of the same shape."""
        rows, columns = shape
        size, shift = self._window(min(shape))
        x = x.unflatten(1, (rows, columns))
        below, right = -rows % size, -columns % size
        if torch.compiler.is_exporting() or below or right:  # an exported model takes other sizes
            x = F.pad(x, (0, 0, 0, right, 0, below))
        mask = None
        if shift:
            x = x.roll((-shift, -shift), dims=(1, 2))
            mask = _shift_mask(rows + below, columns + right, size, shift, x.device)
        x = join_windows(self.w_msa(cut_windows(x, size), mask, (size, size)), rows + below, columns + right, size)
        if shift:
            x = x.roll((shift, shift), dims=(1, 2))
        return self.drop(x[:, :rows, :columns].flatten(1, 2))

    def _window(self, shortest: int) -> tuple[int, int]:
        """Return the side of windows and their shift, for a map of this shortest side."""
        if self.pad_small_map or shortest > self.window_size:
            return self.window_size, self.shift_size
        return shortest, 0


def cut_windows(x: torch.Tensor, size: int) -> torch.Tensor:
    """(B, H, W, C) to windows (B, n, N, C)."""
    x = x.unflatten(2, (-1, size)).unflatten(1, (-1, size))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def join_windows(x: torch.Tensor, rows: int, columns: int, size: int) -> torch.Tensor:
    """Windows (B, n, N, C) to (B, H, W, C)."""
    x = x.unflatten(2, (size, size)).unflatten(1, (rows // size, columns // size))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _shift_mask(rows: int, columns: int, size: int, shift: int, device: torch.device) -> torch.Tensor:
    """Return (n, N, N): what bars tokens from those that the shift brought into their window from the other edge."""

    def came_round(length: int) -> torch.Tensor:
        return (torch.arange(length, device=device) >= length - shift).float()

    # Windows at an edge hold tokens that came round and such that did not, in both directions: up to four kinds.
    kind = came_round(rows)[:, None] * 2 + came_round(columns)
    kind = cut_windows(kind[None, :, :, None], size)[0, :, :, 0]
    return (kind[:, None] != kind[:, :, None]) * _BARRED


def _offset_index(rows: int, columns: int, width: int, zero_row: int, zero_column: int) -> torch.Tensor:
    """Return (N, N): where the table has the offset from one token of a window to another.

    Args:
        rows: Of the window.
        columns: Of the window.
        width: Offsets in a row of the table.
        zero_row: The row of the offset 0 in the table, counted from 1.
        zero_column: Likewise.
    """
    token = torch.arange(rows * columns)
    row, column = token // columns, token % columns
    down = row[:, None] - row + zero_row - 1
    across = column[:, None] - column + zero_column - 1
    return down * width + across


def _fit_bias(module: WindowMSA, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Interpolate biases of a checkpoint that were learnt with another window size; compute their index again."""
    table, index = prefix + "relative_position_bias_table", prefix + "relative_position_index"
    own, given = module.relative_position_bias_table, state.get(table)
    if given is None:
        return
    state[index] = module.relative_position_index  # some files lack it, or have it flat
    if given.shape == own.shape or given.shape[1] != own.shape[1]:
        return
    side = round(given.shape[0] ** 0.5)
    if side * side != given.shape[0]:
        return  # not square: the loader's report says that the shapes differ
    rows, columns = module.window_size
    grid = given.float().T.unflatten(1, (side, side))[None]
    grid = F.interpolate(grid, size=(2 * rows - 1, 2 * columns - 1), mode="bicubic", align_corners=False)
    state[table] = grid[0].flatten(1).T.to(given.dtype)

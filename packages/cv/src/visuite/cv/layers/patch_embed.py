"""Cutting maps into patches, and patches into larger ones.

Shapes: B images, C channels in, D channels out, H rows, W columns, k kernel, s stride, L patches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.layers.adaptive_padding import missing_pixels
from visuite.cv.layers.conv import build_conv_layer
from visuite.cv.layers.norm import build_norm_layer

Cfg = Mapping[str, Any]
Size = int | tuple[int, int]
_LAYER_NORM: Cfg = {"type": "LN"}


class AdaptivePadding(nn.Module):
    """Pad with zeros, only as much as a window needs to reach the last pixel.

    Args:
        kernel_size: k, of the window.
        stride: s.
        dilation: Steps between pixels of the window.
        padding: `corner` pads on the right and below, `same` on all sides.

    Raises:
        ValueError: another padding.
    """

    def __init__(self, kernel_size: Size = 1, stride: Size = 1, dilation: Size = 1, padding: str = "corner") -> None:
        super().__init__()
        if padding not in ("corner", "same"):
            raise ValueError(f"padding is 'corner' or 'same', not {padding!r}")
        self.kernel_size, self.stride, self.dilation = _pair(kernel_size), _pair(stride), _pair(dilation)
        self.padding = padding

    def get_pad_shape(self, input_shape: tuple[int, int]) -> tuple[int, int]:
        """Return how many rows and columns (H, W) lacks."""
        reach = [spread * (kernel - 1) for spread, kernel in zip(self.dilation, self.kernel_size, strict=True)]
        below, right = (missing_pixels(input_shape[i], self.stride[i], reach[i]) for i in range(2))
        return below, right

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to such with more rows and columns."""
        below, right = self.get_pad_shape((x.shape[-2], x.shape[-1]))
        if not torch.compiler.is_exporting() and not below and not right:  # an exported model takes other sizes
            return x
        if self.padding == "corner":
            return F.pad(x, (0, right, 0, below))
        return F.pad(x, (right // 2, right - right // 2, below // 2, below - below // 2))


class PatchEmbed(nn.Module):
    """One token for each patch, by a convolution, `projection`, and perhaps a `norm`.

    Args:
        in_channels: C.
        embed_dims: D.
        conv_type: The convolution's name.
        kernel_size: k.
        stride: s; by default k.
        padding: Pixels on all sides, or what `AdaptivePadding` knows.
        dilation: Of the convolution.
        bias: Of the convolution.
        norm_cfg: The norm's config; None is none.
        input_size: (H, W) of the images; then `init_out_size` says how many rows and columns of patches they have.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        *,
        conv_type: str = "Conv2d",
        kernel_size: Size = 16,
        stride: Size | None = None,
        padding: Size | str = "corner",
        dilation: Size = 1,
        bias: bool = True,
        norm_cfg: Cfg | None = None,
        input_size: Size | None = None,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        stride = kernel_size if stride is None else stride
        self.adaptive_padding: AdaptivePadding | None = None
        if isinstance(padding, str):
            self.adaptive_padding = AdaptivePadding(kernel_size, stride, dilation, padding)
            padding = 0
        self.projection = build_conv_layer(
            {"type": conv_type},
            in_channels,
            embed_dims,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )
        self.norm = build_norm_layer(dict(norm_cfg), embed_dims)[1] if norm_cfg is not None else None
        self.init_input_size = None if input_size is None else _pair(input_size)
        self.init_out_size = None if input_size is None else self._out_size(_pair(input_size))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """(B, C, H, W) to tokens (B, L, D), and their rows and columns."""
        if self.adaptive_padding is not None:
            x = self.adaptive_padding(x)
        x = self.projection(x)
        shape = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)
        return (x if self.norm is None else self.norm(x)), shape

    def _out_size(self, size: tuple[int, int]) -> tuple[int, int]:
        if self.adaptive_padding is not None:
            missing = self.adaptive_padding.get_pad_shape(size)
            size = (size[0] + missing[0], size[1] + missing[1])
        conv: Any = self.projection
        rows, columns = (
            (size[axis] + 2 * conv.padding[axis] - conv.dilation[axis] * (conv.kernel_size[axis] - 1) - 1)
            // conv.stride[axis]
            + 1
            for axis in (0, 1)
        )
        return rows, columns


class PatchMerging(nn.Module):
    """Lay the channels of neighbouring tokens side by side, normalise and reduce them (Liu et al., arXiv:2103.14030).

    The neighbours of one channel stand together, so `reduction` differs in the order of its columns from weights
    that were published with the paper.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: k, neighbours in each direction.
        stride: s; by default k.
        padding: Pixels on all sides, or what `AdaptivePadding` knows.
        dilation: Steps between neighbours.
        bias: Of the reduction.
        norm_cfg: The norm's config; None is none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Size = 2,
        stride: Size | None = None,
        padding: Size | str = "corner",
        dilation: Size = 1,
        bias: bool = False,
        norm_cfg: Cfg | None = _LAYER_NORM,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = self.kernel_size if stride is None else _pair(stride)
        self.dilation = _pair(dilation)
        self.adaptive_padding: AdaptivePadding | None = None
        if isinstance(padding, str):
            self.adaptive_padding = AdaptivePadding(self.kernel_size, self.stride, self.dilation, padding)
            padding = 0
        self.padding = _pair(padding)
        wide = self.kernel_size[0] * self.kernel_size[1] * in_channels
        self.norm = build_norm_layer(dict(norm_cfg), wide)[1] if norm_cfg is not None else None
        self.reduction = nn.Linear(wide, out_channels, bias=bias)

    def forward(self, x: torch.Tensor, input_size: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
        """Tokens (B, H * W, C), and (H, W), to tokens (B, L, D), and their rows and columns.

        Raises:
            ValueError: there are not H * W tokens.
        """
        if x.shape[1] != input_size[0] * input_size[1]:
            raise ValueError(f"{x.shape[1]} tokens are not {input_size[0]} rows of {input_size[1]}")
        x = x.transpose(1, 2).unflatten(2, tuple(input_size))
        if self.adaptive_padding is not None:
            x = self.adaptive_padding(x)
        rows, columns = (
            (x.shape[2 + a] + 2 * self.padding[a] - self.dilation[a] * (self.kernel_size[a] - 1) - 1) // self.stride[a]
            + 1
            for a in (0, 1)
        )
        x = self._neighbours(x)
        return self.reduction(x if self.norm is None else self.norm(x)), (rows, columns)

    def _neighbours(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, L, C * k * k)."""
        k = self.kernel_size[0]
        if self.kernel_size == self.stride == (k, k) and self.dilation == (1, 1) and self.padding == (0, 0):
            x = F.pixel_unshuffle(x, k).flatten(2)
        else:
            x = F.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)
        return x.transpose(1, 2)

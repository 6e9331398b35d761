"""Maps brought to another size.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def resize(
    x: torch.Tensor, size: Sequence[int], *, mode: str = "bilinear", align_corners: bool | None = False
) -> torch.Tensor:
    """Interpolate a map.

    Args:
        x: (B, C, H, W).
        size: H and W wanted.
        mode: As `torch.nn.functional.interpolate` names them.
        align_corners: Whether the centres of the outer pixels stay where they are, or their edges do; not looked at
            where the mode has no such choice.
    """
    return F.interpolate(x, size=tuple(size), mode=mode, align_corners=_align(mode, align_corners))


def resize_like(
    x: torch.Tensor, other: torch.Tensor, *, mode: str = "bilinear", align_corners: bool | None = False
) -> torch.Tensor:
    """Interpolate a map to the rows and columns of another; see `resize`."""
    return resize(x, other.shape[2:], mode=mode, align_corners=align_corners)


def resize_concat(
    maps: Sequence[torch.Tensor], *, mode: str = "bilinear", align_corners: bool | None = False
) -> torch.Tensor:
    """Lay maps (B, C_i, H_i, W_i) side by side, each brought to the size of the first: (B, sum of C_i, H_0, W_0)."""
    first, *others = maps
    return torch.cat([first, *(resize_like(x, first, mode=mode, align_corners=align_corners) for x in others)], dim=1)


class Upsample(nn.Module):
    """Enlarge maps by a factor.

    Args:
        scale_factor: By how much.
        mode: As `torch.nn.functional.interpolate` names them.
        align_corners: See `resize`.
    """

    def __init__(self, scale_factor: float, *, mode: str = "bilinear", align_corners: bool | None = False) -> None:
        super().__init__()
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, H * scale_factor, W * scale_factor), rounded down."""
        align = _align(self.mode, self.align_corners)
        return F.interpolate(x, scale_factor=float(self.scale_factor), mode=self.mode, align_corners=align)

    def extra_repr(self) -> str:
        """The settings."""
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}, align_corners={self.align_corners}"


def _align(mode: str, align_corners: bool | None) -> bool | None:
    return align_corners if mode in ("linear", "bilinear", "bicubic", "trilinear") else None

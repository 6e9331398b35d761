"""Layers of vectors put to the pixels of maps.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import nn


def norm_pixels(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Normalise each pixel of a map (B, C, H, W) by a norm of vectors (..., C)."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

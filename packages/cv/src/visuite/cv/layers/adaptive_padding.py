"""Convolution padded as TensorFlow's `same` does.

Shapes: B images, C channels, H rows, W columns, s stride.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.registry import MODELS


@MODELS.register_module()
class Conv2dAdaptivePadding(nn.Conv2d):
    """A convolution whose map has ceil(H / s) rows and ceil(W / s) columns, whatever the input.

    The padding depends on the input, and where it is odd the greater part goes to the right and below. The
    arguments are those of `torch.nn.Conv2d`; `padding` is not looked at.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, out_channels, ceil(H / s), ceil(W / s))."""
        reach = [spread * (kernel - 1) for spread, kernel in zip(self.dilation, self.kernel_size, strict=True)]
        padding: Any = 0
        if self.stride == (1, 1) and not any(one % 2 for one in reach):
            padding = tuple(one // 2 for one in reach)  # the same on all sides, which needs no copy
        else:
            below, right = (missing_pixels(x.shape[2 + i], self.stride[i], reach[i]) for i in range(2))
            x = F.pad(x, (right // 2, right - right // 2, below // 2, below - below // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


def missing_pixels(size: int, stride: int, reach: int) -> int:
    """Return how many rows or columns the last step of a window, which reaches so far beyond its first pixel, lacks."""
    over = reach + 1 - stride
    lacking = -size % stride + over
    # Where it cannot be negative, sizes may stay open in an exported model.
    return lacking if over >= 0 else max(lacking, 0)

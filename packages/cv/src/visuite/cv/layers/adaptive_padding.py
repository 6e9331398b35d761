"""Convolution padded as TensorFlow's `same` does.

Shapes: B images, C channels, H rows, W columns, s stride.
"""

from __future__ import annotations

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
        below, right = (self._missing(x.shape[axis], axis - 2) for axis in (2, 3))
        x = F.pad(x, (right // 2, right - right // 2, below // 2, below - below // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _missing(self, size: int, axis: int) -> int:
        """Return how many rows or columns the input lacks."""
        stride = self.stride[axis]
        reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        steps = -(-size // stride) - 1
        return max(steps * stride + reach - size, 0)

"""Convolution with standardised weights.

Shapes: B images, C channels in, K channels out, G groups, H rows, W columns, k x k kernel.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.registry import MODELS


def standardise_kernel(weight: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Return a kernel (K, C / G, k, k) whose numbers have mean 0 and, nearly, deviation 1 for each channel out.

    From Qiao et al., arXiv:1903.10520; `eps` is added to the deviation, which is the unbiased one.
    """
    deviation, mean = torch.std_mean(weight, dim=tuple(range(1, weight.ndim)), keepdim=True)
    return (weight - mean) / (deviation + eps)


@MODELS.register_module(name="ConvWS")
class ConvWS2d(nn.Conv2d):
    """A convolution by its standardised kernel (Qiao et al., arXiv:1903.10520), which goes well with group norm.

    Args:
        *args: Of `torch.nn.Conv2d`: C, K, k and the rest.
        eps: Added to the deviation of the kernel.
        **kwargs: More of them.
    """

    def __init__(self, *args: Any, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H', W')."""
        kernel = standardise_kernel(self.weight, self.eps)
        return F.conv2d(x, kernel, self.bias, self.stride, self.padding, self.dilation, self.groups)

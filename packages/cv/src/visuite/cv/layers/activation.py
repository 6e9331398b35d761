"""Activations by config names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.registry import MODELS

for _kind in (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.Sigmoid, nn.Tanh,
    nn.GELU, nn.SiLU, nn.Mish, nn.Hardsigmoid, nn.Softplus, nn.Softmax, nn.Identity,
):  # fmt: skip
    MODELS.register_module(module=_kind)
MODELS.register_module(name=["HSwish", "Hardswish"], module=nn.Hardswish)


@MODELS.register_module(name=["Clamp", "Clip"])
class Clamp(nn.Module):
    """Limit values to [min, max].

    Args:
        min: The lower limit.
        max: The upper limit.
    """

    def __init__(self, min: float = -1.0, max: float = 1.0) -> None:
        super().__init__()
        self.min = min
        self.max = max

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Limit a tensor of any shape."""
        return x.clamp(self.min, self.max)


@MODELS.register_module()
class HSigmoid(nn.Module):
    """Limit `(x + bias) / divisor` to [min_value, max_value].

    Args:
        bias: Added first.
        divisor: Divides then.
        min_value: The lower limit.
        max_value: The upper limit.
    """

    def __init__(
        self, bias: float = 3.0, divisor: float = 6.0, *, min_value: float = 0.0, max_value: float = 1.0
    ) -> None:
        super().__init__()
        if divisor == 0:
            raise ValueError("the divisor of HSigmoid is 0")
        self.bias = bias
        self.divisor = divisor
        self.min_value = min_value
        self.max_value = max_value
        self.is_torchs = (bias, divisor, min_value, max_value) == (3, 6, 0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to a tensor of any shape."""
        if self.is_torchs:
            return F.hardsigmoid(x)
        return ((x + self.bias) / self.divisor).clamp(self.min_value, self.max_value)


@MODELS.register_module()
class Swish(nn.Module):
    """`x * sigmoid(x)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to a tensor of any shape."""
        return x * x.sigmoid()


@MODELS.register_module()
class QuickGELU(nn.Module):
    """`x * sigmoid(1.702 * x)`, which is near GELU; models trained with it (CLIP) need it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to a tensor of any shape."""
        return x * (1.702 * x).sigmoid()


def build_activation_layer(cfg: Mapping[str, Any]) -> nn.Module:
    """Build an activation from `dict(type='ReLU', **arguments)`."""
    return MODELS.build(cfg)

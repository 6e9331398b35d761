"""The global context block.

Shapes: B images, C channels, M channels inside, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.engine.registry import MODELS

_FUSIONS = ("channel_add", "channel_mul")


@MODELS.register_module()
class ContextBlock(nn.Module):
    """Add one vector to all positions, or weigh them by one, made of a weighed mean of all (GCNet, arXiv:1904.11492).

    Names of parameters: conv_mask, channel_add_conv.0, .1 (the norm) and .3, channel_mul_conv likewise.

    Args:
        in_channels: C.
        ratio: M in C.
        pooling_type: `att` weighs the positions by a softmax of what `conv_mask` finds, `avg` all alike.
        fusion_types: `channel_add`, `channel_mul` (weigh by the sigmoid of the vector), or both.

    Raises:
        ValueError: an unknown pooling or fusion, or no fusion.
    """

    _abbr_ = "context_block"

    def __init__(
        self,
        in_channels: int,
        ratio: float,
        *,
        pooling_type: str = "att",
        fusion_types: Sequence[str] = ("channel_add",),
    ) -> None:
        super().__init__()
        if pooling_type not in ("att", "avg"):
            raise ValueError(f"pooling_type is 'att' or 'avg', not {pooling_type!r}")
        if not fusion_types or not set(fusion_types) <= set(_FUSIONS):
            raise ValueError(f"fusion_types are one or both of {', '.join(_FUSIONS)}, not {fusion_types!r}")
        self.pooling_type = pooling_type
        self.fusion_types = tuple(fusion_types)
        if pooling_type == "att":
            self.conv_mask = nn.Conv2d(in_channels, 1, 1)
        inside = int(in_channels * ratio)
        self.channel_add_conv = _bottleneck(in_channels, inside) if "channel_add" in fusion_types else None
        self.channel_mul_conv = _bottleneck(in_channels, inside) if "channel_mul" in fusion_types else None
        self.init_weights()

    def init_weights(self) -> None:
        """Let the block begin as one vector for all images: 0, or a half to weigh by."""
        if self.pooling_type == "att":
            nn.init.kaiming_normal_(self.conv_mask.weight, mode="fan_in")
            nn.init.zeros_(self.conv_mask.bias)  # type: ignore[arg-type]
        for fusion in (self.channel_add_conv, self.channel_mul_conv):
            if fusion is not None:
                last: Any = fusion[-1]
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        context = self.pool(x)
        out = x
        if self.channel_mul_conv is not None:
            out = out * self.channel_mul_conv(context).sigmoid()
        if self.channel_add_conv is not None:
            out = out + self.channel_add_conv(context)
        return out

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the mean (B, C, 1, 1) over its positions."""
        if self.pooling_type == "avg":
            return x.mean((2, 3), keepdim=True)
        share = self.conv_mask(x).flatten(2).softmax(dim=-1)
        return torch.matmul(x.flatten(2), share.transpose(1, 2))[..., None]


def _bottleneck(channels: int, inside: int) -> nn.Sequential:
    """(B, C, 1, 1) to the same shape."""
    return nn.Sequential(
        nn.Conv2d(channels, inside, 1),
        nn.LayerNorm([inside, 1, 1]),
        nn.ReLU(inplace=True),
        nn.Conv2d(inside, channels, 1),
    )

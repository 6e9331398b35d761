"""Upsampling by config names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers.lookup import layer_class, takes_argument
from visuite.engine.registry import MODELS

MODELS.register_module(name=["nearest", "bilinear"], module=nn.Upsample)
MODELS.register_module(name="deconv", module=nn.ConvTranspose2d)
MODELS.register_module(name="deconv3d", module=nn.ConvTranspose3d)


@MODELS.register_module(name="pixel_shuffle")
class PixelShufflePack(nn.Module):
    """A convolution to `scale_factor` squared times the channels, which then become pixels.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        scale_factor: How much larger the map gets.
        upsample_kernel: The convolution's kernel size.
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale_factor: int, upsample_kernel: int) -> None:
        super().__init__()
        self.scale_factor = scale_factor
        self.upsample_conv = nn.Conv2d(
            in_channels, out_channels * scale_factor**2, upsample_kernel, padding=(upsample_kernel - 1) // 2
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, out_channels, H * s, W * s)."""
        return F.pixel_shuffle(self.upsample_conv(x), self.scale_factor)


def build_upsample_layer(cfg: Mapping[str, Any], *args: Any, **kwargs: Any) -> nn.Module:
    """Build an upsampling layer.

    Args:
        cfg: `dict(type='nearest'|'bilinear'|'pixel_shuffle'|'deconv'|..., **arguments)`.
        *args: The layer's own arguments.
        **kwargs: More of them.
    """
    kind = layer_class(cfg)
    arguments = {**kwargs, **{key: value for key, value in cfg.items() if key != "type"}}
    if kind is nn.Upsample:
        arguments["mode"] = cfg["type"]
    elif "scale_factor" in arguments and takes_argument(kind, "stride") and not takes_argument(kind, "scale_factor"):
        arguments["stride"] = arguments.pop("scale_factor")
    return kind(*args, **arguments)

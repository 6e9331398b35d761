"""Maps made twice as large and convolved.

Shapes: B images, I channels in, K channels out, H rows, W columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.layers import build_norm_layer
from visuite.cv.layers.recompute import recompute
from visuite.seg.layers.conv_options import BN, RELU, Cfg, ConvOptions
from visuite.seg.layers.resize import Upsample
from visuite.seg.registry import MODELS

_TWOFOLD: Cfg = {"scale_factor": 2, "mode": "bilinear", "align_corners": False}


@MODELS.register_module()
class InterpConv(nn.Module):
    """Interpolate, then convolve, as `interp_upsample`; or the other way round.

    Args:
        in_channels: I.
        out_channels: K.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        norm_cfg: The norm's config.
        act_cfg: The activation's config.
        conv_cfg: The convolution's config.
        conv_first: Convolve first.
        kernel_size: Of the convolution, as the next two.
        stride: See there.
        padding: See there.
        upsample_cfg: Arguments of `Upsample`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        with_cp: bool = False,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        conv_cfg: Cfg | None = None,
        conv_first: bool = False,
        kernel_size: int = 1,
        stride: int = 1,
        padding: int = 0,
        upsample_cfg: Cfg = _TWOFOLD,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        conv = options.conv(in_channels, out_channels, kernel_size, stride=stride, padding=padding)
        upsample = Upsample(**upsample_cfg)
        self.interp_upsample = nn.Sequential(conv, upsample) if conv_first else nn.Sequential(upsample, conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, 2H, 2W)."""
        return recompute(self.interp_upsample, x, enabled=self.with_cp)


@MODELS.register_module()
class DeconvModule(nn.Module):
    """A transposed convolution, a norm and an activation, as `deconv_upsamping`.

    Args:
        in_channels: I.
        out_channels: K.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        norm_cfg: The norm's config.
        act_cfg: The activation's config.
        kernel_size: A multiple of the factor, so that each pixel is made of as many.
        scale_factor: How much larger the map gets.

    Raises:
        ValueError: a kernel that is no such multiple.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        with_cp: bool = False,
        norm_cfg: Cfg = BN,
        act_cfg: Cfg = RELU,
        kernel_size: int = 4,
        scale_factor: int = 2,
        **_: Any,
    ) -> None:
        super().__init__()
        if kernel_size < scale_factor or (kernel_size - scale_factor) % 2 or kernel_size % scale_factor:
            raise ValueError(
                f"kernel_size {kernel_size} does not fit scale_factor {scale_factor}: take a multiple of it"
            )
        self.with_cp = with_cp
        self.deconv_upsamping = nn.Sequential(
            nn.ConvTranspose2d(
                in_channels, out_channels, kernel_size, stride=scale_factor, padding=(kernel_size - scale_factor) // 2
            ),
            build_norm_layer(dict(norm_cfg), out_channels)[1],
            ConvOptions(act_cfg=act_cfg).act(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, I, H, W) to (B, K, H * scale_factor, W * scale_factor)."""
        return recompute(self.deconv_upsamping, x, enabled=self.with_cp)

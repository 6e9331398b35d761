"""Deformable convolution: the kernel's points move by learned offsets (Dai et al., arXiv:1703.06211).

Shapes: B images, C channels, H rows, W columns, H' and W' after the convolution; G deformable groups; k x k kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.ops.deform_base import DeformConvBase, Size, sample_and_convolve, zero_parameters
from visuite.engine.registry import MODELS


def deform_conv2d(
    input: torch.Tensor,
    offset: torch.Tensor,
    weight: torch.Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> torch.Tensor:
    """Convolve with a kernel whose points are moved.

    Args:
        input: (B, C, H, W).
        offset: (B, G * k * k * 2, H', W'), each point's way down and to the right, in pixels.
        weight: (C', C / groups, k, k).
        stride: Of the convolution, as `padding`, `dilation` and `groups`.
        padding: See there.
        dilation: See there.
        groups: See there.
        deform_groups: Groups of channels with offsets of their own.
        bias: Must be False; the argument only holds its place.
        im2col_step: Without effect.

    Returns:
        (B, C', H', W').

    Raises:
        ValueError: a bias is asked for, or shapes that do not go together.
    """
    if bias:
        raise ValueError("deform_conv2d has no bias; modulated_deform_conv2d has")
    return sample_and_convolve(
        input,
        offset,
        None,
        weight,
        None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        deform_groups=deform_groups,
    )


@MODELS.register_module()
class DeformConv2d(DeformConvBase):
    """The layer of `deform_conv2d`; its offsets come from outside.

    Args:
        in_channels: Channels in, C.
        out_channels: Channels out, C'.
        kernel_size: See `deform_conv2d`, as all up to `deform_groups`.
        stride: See there.
        padding: See there.
        dilation: See there.
        groups: See there.
        deform_groups: See there.
        bias: Must be False.
        im2col_step: Without effect.

    Raises:
        ValueError: a bias is asked for, or channels that cannot be split into that many groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = False,
        im2col_step: int = 32,
    ) -> None:
        if bias:
            raise ValueError("DeformConv2d has no bias; ModulatedDeformConv2d ('DCNv2') has")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, deform_groups)
        self.im2col_step = im2col_step
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights for a ReLU that follows (He et al., arXiv:1502.01852)."""
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) and offsets (B, G * k * k * 2, H', W') to (B, C', H', W')."""
        return deform_conv2d(x, offset, self.weight, **self.settings)


@MODELS.register_module("DCN")
class DeformConv2dPack(DeformConv2d):
    """A deformable convolution with the convolution that finds its offsets; fits where a `Conv2d` stands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self.offset_conv(channels_per_point=2)

    def init_weights(self) -> None:
        """Draw the weights again, and let the points rest."""
        self.reset_parameters()
        zero_parameters(self.conv_offset)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """(B, C, H, W) to (B, C', H', W')."""
        return deform_conv2d(x, self.conv_offset(x), self.weight, **self.settings)

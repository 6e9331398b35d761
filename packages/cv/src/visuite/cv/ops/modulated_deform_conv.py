"""Modulated deformable convolution: points of the kernel move, and count more or less (Zhu et al., arXiv:1811.11168).

Shapes: B images, C channels, H rows, W columns, H' and W' after the convolution; G deformable groups; k x k kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.ops.deform_base import DeformConvBase, Size, sample_and_convolve, zero_parameters
from visuite.engine.registry import MODELS


def modulated_deform_conv2d(
    input: torch.Tensor,
    offset: torch.Tensor,
    mask: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> torch.Tensor:
    """Convolve with a kernel whose points are moved and weighed.

    Args:
        input: (B, C, H, W).
        offset: (B, G * k * k * 2, H', W'), each point's way down and to the right, in pixels.
        mask: (B, G * k * k, H', W'), each point's weight.
        weight: (C', C / groups, k, k).
        bias: (C',).
        stride: Of the convolution, as `padding`, `dilation` and `groups`.
        padding: See there.
        dilation: See there.
        groups: See there.
        deform_groups: Groups of channels with offsets of their own.

    Returns:
        (B, C', H', W').

    Raises:
        ValueError: shapes that do not go together.
    """
    return sample_and_convolve(
        input,
        offset,
        mask,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        deform_groups=deform_groups,
    )


@MODELS.register_module()
class ModulatedDeformConv2d(DeformConvBase):
    """The layer of `modulated_deform_conv2d`; its offsets and masks come from outside.

    Args:
        in_channels: Channels in, C.
        out_channels: Channels out, C'.
        kernel_size: See `modulated_deform_conv2d`, as all up to `deform_groups`.
        stride: See there.
        padding: See there.
        dilation: See there.
        groups: See there.
        deform_groups: See there.
        bias: Add a learned number per channel.

    Raises:
        ValueError: channels that cannot be split into that many groups.
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
        bias: bool | str = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, deform_groups)
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights evenly between ±1/√n, n being the inputs of an ungrouped kernel, and set the bias to 0."""
        bound = (self.in_channels * self.kernel_size[0] * self.kernel_size[1]) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W), offsets (B, G * k * k * 2, H', W') and masks (B, G * k * k, H', W') to (B, C', H', W')."""
        return modulated_deform_conv2d(x, offset, mask, self.weight, self.bias, **self.settings)


@MODELS.register_module("DCNv2")
class ModulatedDeformConv2dPack(ModulatedDeformConv2d):
    """The convolution with the one that finds its offsets and masks; fits where a `Conv2d` stands.

    Two thirds of `conv_offset`'s channels are offsets; the sigmoid of the last third is the mask, a half at first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self.offset_conv(channels_per_point=3)

    def init_weights(self) -> None:
        """Draw the weights again, and let the points rest."""
        self.reset_parameters()
        zero_parameters(self.conv_offset)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """(B, C, H, W) to (B, C', H', W')."""
        found = self.conv_offset(x)
        masks = found.shape[1] // 3
        offset, mask = found.split((2 * masks, masks), dim=1)
        return modulated_deform_conv2d(x, offset, mask.sigmoid(), self.weight, self.bias, **self.settings)

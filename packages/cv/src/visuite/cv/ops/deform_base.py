"""What the deformable convolutions share.

Shapes: B images, C channels, H rows, W columns, H' and W' after the convolution; G deformable groups; k x k kernel.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.ops.boxes import full_precision
from visuite.cv.ops.kernels import kernels

Size = int | tuple[int, int]


def sample_and_convolve(
    input: torch.Tensor,
    offset: torch.Tensor,
    mask: torch.Tensor | None,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    stride: Size,
    padding: Size,
    dilation: Size,
    groups: int,
    deform_groups: int,
) -> torch.Tensor:
    """Convolve (B, C, H, W) to (B, C', H', W') with a kernel whose points are moved, and weighed if there is a mask.

    Half-precision inputs are computed in float32, since an offset in pixels needs the digits.

    Raises:
        ValueError: numbers of channels that do not go together.
    """
    points = deform_groups * weight.shape[2] * weight.shape[3]
    if offset.shape[1] != 2 * points or (mask is not None and mask.shape[1] != points):
        got = f"{offset.shape[1]} offsets" + ("" if mask is None else f" and {mask.shape[1]} masks")
        raise ValueError(f"deform_groups={deform_groups} needs {2 * points} offsets and {points} masks, not {got}")
    if input.shape[1] != weight.shape[1] * groups:
        raise ValueError(f"the weight takes {weight.shape[1] * groups} channels, the input has {input.shape[1]}")
    x = full_precision(input)
    out = kernels().deform_conv2d(
        x,
        offset.to(x.dtype),
        weight.to(x.dtype),
        None if bias is None else bias.to(x.dtype),
        stride=_pair(stride),
        padding=_pair(padding),
        dilation=_pair(dilation),
        mask=None if mask is None else mask.to(x.dtype),
    )
    return out.to(input.dtype)


class DeformConvBase(nn.Module):
    """The arguments and the weight (C', C / groups, k, k) of a deformable convolution.

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
    ) -> None:
        super().__init__()
        for name, channels, parts in (
            ("groups", in_channels, groups),
            ("groups", out_channels, groups),
            ("deform_groups", in_channels, deform_groups),
        ):
            if channels % parts:
                raise ValueError(f"{channels} channels cannot be split into {name}={parts}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding, self.dilation = _pair(padding), _pair(dilation)
        self.groups, self.deform_groups = groups, deform_groups
        self.transposed, self.output_padding = False, (0, 0)  # code that inspects convolutions asks for these
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the function underneath."""
        return {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups", "deform_groups")}

    def offset_conv(self, channels_per_point: int) -> nn.Conv2d:
        """Return the convolution that tells where the points move: at first, nowhere."""
        points = self.deform_groups * math.prod(self.kernel_size)
        shape = (self.kernel_size, self.stride, self.padding, self.dilation)
        conv = nn.Conv2d(self.in_channels, points * channels_per_point, *shape)
        zero_parameters(conv)
        return conv

    def extra_repr(self) -> str:
        """The settings."""
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
        return sizes + ", ".join(f"{name}={value}" for name, value in self.settings.items())


def zero_parameters(module: nn.Module) -> None:
    """Set all parameters to 0."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)

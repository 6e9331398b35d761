"""A convolution that is worked out where a mask says so (Wang et al., Guided Anchoring, arXiv:1901.03278).

Shapes: B images, C channels, H rows, W columns, H' and W' after the convolution; P places that the mask keeps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.engine.registry import MODELS


def masked_conv2d(
    features: torch.Tensor,
    mask: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    padding: int | tuple[int, ...] = 0,
    stride: int | tuple[int, ...] = 1,
) -> torch.Tensor:
    """Convolve at the places that the mask keeps; elsewhere the result is 0.

    Args:
        features: (B, C, H, W).
        mask: (B, H', W'); positive where the result is wanted.
        weight: (C', C, k, k).
        bias: (C',).
        padding: Of the convolution.
        stride: Of the convolution.

    Returns:
        (B, C', H', W').

    Raises:
        ValueError: a mask that is not of the result's size.
    """
    (down, right), (step_down, step_right) = _pair(padding), _pair(stride)
    kernel_height, kernel_width = weight.shape[2:]
    out_size = (
        (features.shape[2] + 2 * down - kernel_height) // step_down + 1,
        (features.shape[3] + 2 * right - kernel_width) // step_right + 1,
    )
    if mask.shape != (features.shape[0], *out_size):
        raise ValueError(f"the mask has shape {(features.shape[0], *out_size)}, not {tuple(mask.shape)}")
    image, row, column = torch.where(mask > 0)
    rows = (row * step_down)[:, None, None] + torch.arange(kernel_height, device=row.device)[:, None]
    columns = (column * step_right)[:, None, None] + torch.arange(kernel_width, device=row.device)
    padded = F.pad(features, (right, right, down, down)).permute(0, 2, 3, 1)
    place = (image[:, None, None] * padded.shape[1] + rows) * padded.shape[2] + columns  # (P, k, k)
    patches = padded.flatten(0, 2).index_select(0, place.flatten())  # its gradient is cheaper than that of indexing
    patches = patches.reshape(place.shape[0], kernel_height * kernel_width * features.shape[1])
    found = F.linear(patches, weight.permute(0, 2, 3, 1).flatten(1), bias)
    out = found.new_zeros(features.shape[0], *out_size, weight.shape[0])
    return out.index_put((image, row, column), found).permute(0, 3, 1, 2)


@MODELS.register_module()
class MaskedConv2d(nn.Conv2d):
    """A `Conv2d` that takes a mask; without one it is the plain convolution.

    Args:
        in_channels: As of `torch.nn.Conv2d`, as the rest.
        out_channels: See there.
        kernel_size: See there.
        stride: See there.
        padding: See there.
        dilation: Must be 1 where a mask is given, as `groups`.
        groups: See there.
        bias: See there.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)

    def forward(self, input: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """(B, C, H, W), and a mask (B, H', W') or None, to (B, C', H', W').

        Raises:
            ValueError: a mask that is not of the result's size, or one with a dilated or grouped convolution.
        """
        if mask is None:
            return super().forward(input)
        if self.groups != 1 or self.dilation != (1, 1) or isinstance(self.padding, str):
            raise ValueError("a masked convolution is neither dilated nor grouped, and its padding is a number")
        return masked_conv2d(input, mask, self.weight, self.bias, self.padding, self.stride)

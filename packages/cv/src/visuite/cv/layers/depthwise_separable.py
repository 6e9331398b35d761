"""A depthwise convolution and a pointwise one, in place of a full convolution.

Shapes: B images, C channels in, K channels out, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.conv_module import ConvModule

Cfg = Mapping[str, Any]


class DepthwiseSeparableConvModule(nn.Module):
    """Convolve each channel by itself, then mix the channels of each pixel (Howard et al., arXiv:1704.04861).

    State-dict names are those of a `ConvModule` below `depthwise_conv` and `pointwise_conv`.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: Of the depthwise convolution, as `stride`, `padding` and `dilation`.
        stride: See there.
        padding: See there.
        dilation: See there.
        norm_cfg: Config of the norms; None is none.
        act_cfg: Config of the activations; None is none.
        dw_norm_cfg: Of the depthwise convolution, where it is not `default`.
        dw_act_cfg: See there.
        pw_norm_cfg: Of the pointwise convolution, where it is not `default`.
        pw_act_cfg: See there.
        **kwargs: What else both `ConvModule`s take.

    Raises:
        ValueError: `groups` are given, which follow from the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = {"type": "ReLU"},  # noqa: B006 (read only)
        dw_norm_cfg: Cfg | str | None = "default",
        dw_act_cfg: Cfg | str | None = "default",
        pw_norm_cfg: Cfg | str | None = "default",
        pw_act_cfg: Cfg | str | None = "default",
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if "groups" in kwargs:
            raise ValueError("the groups of a depthwise separable convolution follow from its channels")

        def chosen(own_norm: Cfg | str | None, own_act: Cfg | str | None) -> dict[str, Any]:
            return {
                "norm_cfg": norm_cfg if own_norm == "default" else own_norm,
                "act_cfg": act_cfg if own_act == "default" else own_act,
                **kwargs,
            }

        shape: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": in_channels}
        depthwise, pointwise = chosen(dw_norm_cfg, dw_act_cfg), chosen(pw_norm_cfg, pw_act_cfg)
        self.depthwise_conv = ConvModule(in_channels, in_channels, kernel_size, **shape, **depthwise)
        self.pointwise_conv = ConvModule(in_channels, out_channels, 1, **pointwise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H', W')."""
        return self.pointwise_conv(self.depthwise_conv(x))

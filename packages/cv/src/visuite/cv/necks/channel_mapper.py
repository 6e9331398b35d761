"""Maps brought to one number of channels.

Shapes: B images, C_i channels of the i-th map taken, K channels of all maps handed out, H_i rows, W_i columns.

Names of parameters: convs.0.conv, extra_convs.0.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.cv.necks.base import Neck
from visuite.cv.necks.pyramid import convolve_on
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class ChannelMapper(Neck):
    """A convolution for each map, and more maps by convolutions of stride 2 (Deformable DETR: arXiv:2010.04159).

    Args:
        in_channels: C_i.
        out_channels: K.
        kernel_size: Of the convolutions that keep the size.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms; None is none.
        act_cfg: Config of the activations; None is none.
        bias: Of the convolutions; `auto` is a bias where no norm follows.
        num_outs: How many maps are handed out; by default as many as come in. The first of those on top is made of
            the coarsest that came in.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: fewer maps out than in.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        kernel_size: int = 3,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = {"type": "ReLU"},  # noqa: B006 (read only, as the next)
        bias: bool | str = "auto",
        num_outs: int | None = None,
        init_cfg: Any = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"},  # noqa: B006
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        extra = 0 if num_outs is None else num_outs - len(in_channels)
        if extra < 0:
            raise ValueError(
                f"num_outs of ChannelMapper is at least the {len(in_channels)} maps that come, not {num_outs}"
            )
        self.out_channels = (out_channels,) * (len(in_channels) + extra)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg, "bias": bias}
        self.convs = nn.ModuleList(
            ConvModule(channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, **cfgs)
            for channels in in_channels
        )
        if extra:
            top = [self.in_channels[-1]] + [out_channels] * (extra - 1)
            self.extra_convs = nn.ModuleList(
                ConvModule(channels, out_channels, 3, stride=2, padding=1, **cfgs) for channels in top
            )

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        extra = len(self.out_channels) - len(self.in_channels)
        return (*in_strides, *(in_strides[-1] * 2 ** (level + 1) for level in range(extra)))

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H_i, W_i) to `num_outs` maps of K channels."""
        self.check_maps(inputs)
        maps = [conv(x) for conv, x in zip(self.convs, inputs, strict=True)]
        if hasattr(self, "extra_convs"):
            maps += convolve_on(inputs[-1], self.extra_convs)
        return tuple(maps)

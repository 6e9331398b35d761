"""The coarser maps of SSD.

Shapes: B images, C_i channels of the i-th map taken, K_i channels of the i-th handed out, H_i rows, W_i columns.

Names of parameters: l2_norm.weight, extra_layers.0.0.conv, extra_layers.0.1.conv (of depthwise separable ones:
extra_layers.0.1.depthwise_conv.conv, .pointwise_conv.conv).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import ConvModule, DepthwiseSeparableConvModule
from visuite.cv.necks.base import Neck
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]

_INIT: tuple[Cfg, ...] = (
    {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"},
    {"type": "Constant", "layer": "BatchNorm2d", "val": 1},
)


class L2Norm(nn.Module):
    """Each pixel's channels over their length, times a factor for each channel (ParseNet: arXiv:1506.04579).

    Args:
        channels: C.
        scale: Where the factors start.
        eps: The least length.
    """

    def __init__(self, channels: int, scale: float = 20.0, *, eps: float = 1e-10) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(scale)))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape; lengths are taken in float32."""
        unit = F.normalize(x.float(), dim=1, eps=self.eps)
        return (unit * self.weight.float()[:, None, None]).to(x.dtype)


@MODELS.register_module()
class SSDNeck(Neck):
    """Ever coarser maps behind the last of the backbone (Liu et al., arXiv:1512.02325; SSDLite: arXiv:1801.04381).

    Args:
        in_channels: C_i.
        out_channels: K_i; the first are those of `in_channels`, for these maps are handed on.
        level_strides: Of the second convolution of each new map.
        level_paddings: See there.
        l2_norm_scale: Where the factors of the norm of the first map start; None is no norm.
        last_kernel_size: Of the second convolution of the last map; of the others it is 3.
        use_depthwise: Make these second convolutions depthwise separable ones.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms; None is none.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: channels, strides and paddings that do not go together.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        *,
        level_strides: Sequence[int],
        level_paddings: Sequence[int],
        l2_norm_scale: float | None = 20.0,
        last_kernel_size: int = 3,
        use_depthwise: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = {"type": "ReLU"},  # noqa: B006 (read only)
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.out_channels = tuple(in_channels), tuple(out_channels)
        kept = len(in_channels)
        if self.out_channels[:kept] != self.in_channels:
            raise ValueError(
                f"out_channels of SSDNeck begin with {self.in_channels}, its in_channels, not {out_channels}"
            )
        new = self.out_channels[kept:]
        if not len(level_strides) == len(level_paddings) == len(new):
            raise ValueError(
                f"SSDNeck adds {len(new)} maps, but level_strides has {len(level_strides)} and level_paddings "
                f"{len(level_paddings)} entries"
            )
        self.level_strides = tuple(level_strides)
        if l2_norm_scale:
            self.l2_norm = L2Norm(self.in_channels[0], l2_norm_scale)

        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        second = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        kernels = [3] * (len(new) - 1) + [last_kernel_size]
        self.extra_layers = nn.ModuleList()
        rows = zip(self.out_channels[kept - 1 :], new, kernels, level_strides, level_paddings, strict=False)
        for before, channels, kernel, stride, padding in rows:
            narrow = channels // 2
            self.extra_layers.append(
                nn.Sequential(
                    ConvModule(before, narrow, 1, **cfgs),
                    second(narrow, channels, kernel, stride=stride, padding=padding, **cfgs),
                )
            )

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out; where nothing is padded, a map is smaller than they say."""
        return (*in_strides[:-1], *accumulate((in_strides[-1], *self.level_strides), mul))

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H_i, W_i) to maps (B, K_i, ...): the same, the first of them normed, and those on top."""
        self.check_maps(inputs)
        maps = list(inputs)
        if hasattr(self, "l2_norm"):
            maps[0] = self.l2_norm(maps[0])
        for layer in self.extra_layers:
            maps.append(layer(maps[-1]))
        return tuple(maps)

"""Multi-level feature aggregation.

Shapes: B images, C_i channels of the i-th map, K channels out, h rows, w columns, the same for all.

Names of parameters: norm.<map>, mla.channel_proj.<map>.conv, mla.feat_extract.<map>.conv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import build_norm_layer
from visuite.cv.necks.base import Neck
from visuite.seg.layers import ConvOptions, norm_pixels
from visuite.seg.layers.conv_options import RELU, Cfg
from visuite.seg.registry import MODELS

_LAYER_NORM: Cfg = {"type": "LN", "eps": 1e-6, "requires_grad": True}


class MLAModule(nn.Module):
    """Each map gets all later ones added, and a convolution.

    Args:
        in_channels: C_i.
        out_channels: K.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, *, options: ConvOptions) -> None:
        super().__init__()
        self.channel_proj = nn.ModuleList(options.conv(wide, out_channels) for wide in in_channels)
        self.feat_extract = nn.ModuleList(options.conv(out_channels, out_channels, 3) for _ in in_channels)

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, h, w) to as many (B, K, h, w), the last of them first."""
        projected = [conv(x) for conv, x in zip(self.channel_proj, inputs, strict=True)]
        total, sums = projected[-1], [projected[-1]]
        for x in projected[-2::-1]:
            total = total + x
            sums.append(total)
        return tuple(conv(x) for conv, x in zip(self.feat_extract, sums, strict=True))


@MODELS.register_module()
class MLANeck(Neck):
    """Normalise the maps of a transformer, and add them up from the last to the first (SETR, arXiv:2012.15840).

    Args:
        in_channels: C_i.
        out_channels: K.
        norm_layer: Config of the norm over the channels of each pixel.
        norm_cfg: Config of the norms of the convolutions.
        act_cfg: Config of their activations.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        norm_layer: Cfg = _LAYER_NORM,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = RELU,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.out_channels = (out_channels,) * len(in_channels)
        self.norm = nn.ModuleList(build_norm_layer(dict(norm_layer), wide)[1] for wide in in_channels)
        self.mla = MLAModule(in_channels, out_channels, options=ConvOptions(norm_cfg=norm_cfg, act_cfg=act_cfg))

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        return tuple(reversed(in_strides))

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, h, w) to as many (B, K, h, w), the last of them first."""
        self.check_maps(inputs)
        return self.mla([norm_pixels(norm, x) for norm, x in zip(self.norm, inputs, strict=True)])

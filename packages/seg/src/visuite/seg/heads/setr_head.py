"""The heads of SETR.

Shapes: B images, I channels of a map, C channels of features, h rows, w columns.

Names of parameters: norm, up_convs.<step>.0.conv; or up_convs.<map>.<0,1>.conv; conv_seg.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.layers import build_norm_layer
from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import Upsample, norm_pixels
from visuite.seg.layers.conv_options import Cfg
from visuite.seg.registry import MODELS

_LAYER_NORM: Cfg = {"type": "LN", "eps": 1e-6, "requires_grad": True}
_INIT: tuple[Cfg, ...] = (
    {"type": "Constant", "val": 1.0, "bias": 0, "layer": "LayerNorm"},
    {"type": "Normal", "std": 0.01, "override": {"name": "conv_seg"}},
)


@MODELS.register_module()
class SETRUPHead(BaseDecodeHead):
    """Naive and progressive upsampling of a transformer's map (Zheng et al., arXiv:2012.15840).

    Args:
        norm_layer: Config of the norm over the channels of each pixel.
        num_convs: Steps, each a convolution and an enlargement.
        up_scale: By how much each step enlarges.
        kernel_size: Of the convolutions, 1 or 3.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: another kernel size.
    """

    def __init__(
        self,
        *,
        norm_layer: Cfg = _LAYER_NORM,
        num_convs: int = 1,
        up_scale: int = 4,
        kernel_size: int = 3,
        init_cfg: Any = _INIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg, **kwargs)
        if kernel_size not in (1, 3):
            raise ValueError(f"kernel_size of SETRUPHead is 1 or 3, not {kernel_size}")
        self.norm = build_norm_layer(dict(norm_layer), self.in_channels)[1]
        widths = [self.in_channels] + [self.channels] * num_convs
        self.up_convs = nn.ModuleList(
            nn.Sequential(
                self.conv(wide, self.channels, kernel_size), Upsample(up_scale, align_corners=self.align_corners)
            )
            for wide in widths[:-1]
        )

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h * up_scale ** num_convs, w * up_scale ** num_convs) for classifying pixels."""
        x = norm_pixels(self.norm, self._transform_inputs(inputs))
        for up_conv in self.up_convs:
            x = up_conv(x)
        return x


@MODELS.register_module()
class SETRMLAHead(BaseDecodeHead):
    """Several maps of a transformer, each convolved and enlarged, side by side (Zheng et al., arXiv:2012.15840).

    Args:
        mla_channels: What each map is reduced to.
        up_scale: By how much each is enlarged.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: C is not that of all maps together.
    """

    def __init__(self, *, mla_channels: int = 128, up_scale: int = 4, **kwargs: Any) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        if mla_channels * len(self.map_channels) != self.channels:
            raise ValueError(
                f"channels is mla_channels {mla_channels} times {len(self.map_channels)} maps, not {self.channels}"
            )
        self.up_convs = nn.ModuleList(
            nn.Sequential(
                self.conv(wide, mla_channels, 3),
                self.conv(mla_channels, mla_channels, 3),
                Upsample(up_scale, align_corners=self.align_corners),
            )
            for wide in self.map_channels
        )

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h * up_scale, w * up_scale) that pixels are classified by."""
        maps = zip(self.up_convs, self._transform_inputs(inputs), strict=True)
        return torch.cat([up_conv(x) for up_conv, x in maps], dim=1)

"""The head of interlaced sparse self-attention.

Shapes: B images, C channels of features, h rows, w columns, p x q the pattern, H = ceil(h / p) and W = ceil(w / q).

Names of parameters: in_conv.conv, {global,local}_relation.{query_project,key_project}.<0,1>.conv,
.{value_project,output_project.conv}, out_conv.conv, conv_seg.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.modules.utils import _pair

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import ConvOptions, SelfAttentionBlock
from visuite.seg.registry import MODELS


class InterlacedAttention(SelfAttentionBlock):
    """Attention of the pixels of a map to each other, and a last convolution.

    Args:
        in_channels: C.
        channels: Of queries and keys.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, channels: int, options: ConvOptions) -> None:
        super().__init__(
            in_channels,
            in_channels,
            channels=channels,
            out_channels=in_channels,
            key_query_num_convs=2,
            value_out_norm=False,
            with_out=False,
            options=options,
        )
        self.output_project = options.conv(in_channels, in_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """(B, C, h, w) to the same shape."""
        return self.output_project(super().forward(x, x))


@MODELS.register_module()
class ISAHead(BaseDecodeHead):
    """Attention between pixels that are far apart, then between neighbours (Huang et al., arXiv:1907.12273).

    Args:
        isa_channels: Channels of queries and keys.
        down_factor: p and q: first each p-th row and q-th column are a map, then each p x q neighbours.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, isa_channels: int, down_factor: int | tuple[int, int] = (8, 8), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.down_factor = _pair(down_factor)
        self.in_conv = self.conv(self.in_channels, self.channels, 3)
        self.global_relation = InterlacedAttention(self.channels, isa_channels, self.options)
        self.local_relation = InterlacedAttention(self.channels, isa_channels, self.options)
        self.out_conv = self.conv(2 * self.channels, self.channels)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        x = self.in_conv(self._transform_inputs(inputs))
        return self.out_conv(torch.cat([self._relate(x), x], dim=1))

    def _relate(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        (height, width), (p, q) = x.shape[2:], self.down_factor
        below, right = -height % p, -width % q
        top, left = below // 2, right // 2
        cells = F.pad(x, (left, right - left, top, below - top)).unflatten(3, (-1, q)).unflatten(2, (-1, p))
        batch, channels, rows, _, columns, _ = cells.shape  # (B, C, H, p, W, q)
        far = cells.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)  # (B * p * q, C, H, W)
        far = self.global_relation(far).unflatten(0, (batch, p, q))
        near = far.permute(0, 4, 5, 3, 1, 2).flatten(0, 2)  # (B * H * W, C, p, q)
        near = self.local_relation(near).unflatten(0, (batch, rows, columns))
        whole = near.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, rows * p, columns * q)
        return whole[:, :, top : top + height, left : left + width]

"""The head of OCRNet.

Shapes: B images, C channels of features, K classes, M channels inside the attention, h rows, w columns, N = h * w.

Names of parameters: bottleneck.conv, object_context_block.{query_project,key_project}.<0,1>.conv,
object_context_block.{value_project,out_project,bottleneck}.conv, conv_seg.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.seg.heads.cascade_decode_head import BaseCascadeDecodeHead
from visuite.seg.heads.decode_head import Maps
from visuite.seg.layers import ConvOptions, SelfAttentionBlock, resize_like
from visuite.seg.registry import MODELS


class SpatialGatherModule(nn.Module):
    """The mean of all pixels' features for each class, weighed by its scores.

    Args:
        scale: Factor of the scores.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, feats: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Features (B, C, h, w) and scores (B, K, h, w) to the classes' features (B, C, K, 1)."""
        share = (self.scale * scores.flatten(2)).softmax(dim=-1)  # (B, K, N)
        return (share @ feats.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)


class ObjectAttentionBlock(SelfAttentionBlock):
    """Attention of pixels to classes, and a convolution of what is found beside what was there.

    Args:
        in_channels: C.
        channels: M.
        scale: By how much queries are made smaller.
        options: Of the convolutions.
    """

    def __init__(self, in_channels: int, channels: int, *, scale: int, options: ConvOptions) -> None:
        super().__init__(
            in_channels,
            in_channels,
            channels=channels,
            out_channels=in_channels,
            query_downsample=nn.MaxPool2d(scale) if scale > 1 else None,
            key_query_num_convs=2,
            options=options,
        )
        self.bottleneck = options.conv(2 * in_channels, in_channels)

    def forward(self, query_feats: torch.Tensor, key_feats: torch.Tensor) -> torch.Tensor:
        """Features (B, C, h, w) and those of classes (B, C, K, 1) to (B, C, h, w)."""
        context = super().forward(query_feats, key_feats)
        if self.query_downsample is not None:
            context = resize_like(context, query_feats)
        return self.bottleneck(torch.cat([context, query_feats], dim=1))


@MODELS.register_module()
class OCRHead(BaseCascadeDecodeHead):
    """Object-contextual representations: pixels look at the classes that a head before has found (arXiv:1909.11065).

    Args:
        ocr_channels: M.
        scale: Factor of the scores before; if more than 1, queries are made smaller by as much.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, ocr_channels: int, scale: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.object_context_block = ObjectAttentionBlock(self.channels, ocr_channels, scale=scale, options=self.options)
        self.spatial_gather_module = SpatialGatherModule(scale)
        self.bottleneck = self.conv(self.in_channels, self.channels, 3)

    def forward(self, inputs: Maps, prev_output: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the scores (B, K, h, w) of maps and of the scores before."""
        feats = self.bottleneck(self._transform_inputs(inputs))
        scores = resize_like(prev_output, feats, align_corners=self.align_corners)
        classes = self.spatial_gather_module(feats, scores)
        return self.cls_seg(self.object_context_block(feats, classes))

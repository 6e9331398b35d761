"""The head of asymmetric non-local networks.

Shapes: B images, C channels of features, M channels inside the attention; of the fine map J channels, H rows, W
columns, of the coarse one I channels, h rows, w columns.

Names of parameters: fusion.stages.<scale>.{query_project,key_project}.conv, .{value_project,out_project},
fusion.bottleneck.conv, bottleneck.conv, context.stages.<scale>.*, context.bottleneck.conv, conv_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import CellPooling, ConvOptions, SelfAttentionBlock
from visuite.seg.registry import MODELS


class PPMConcat(nn.ModuleList):
    """The cells of pyramid pooling, one after the other.

    Args:
        pool_scales: Cells in each direction, of each level.
    """

    def __init__(self, pool_scales: Sequence[int]) -> None:
        super().__init__(CellPooling(scale) for scale in pool_scales)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, C, sum of squared scales)."""
        return torch.cat([pool(x).flatten(2) for pool in self], dim=2)


class PyramidAttention(nn.Module):
    """Attention of a map's pixels to the pooled cells of a map, whose sum lies beside it in a last convolution.

    With a finer map to look at it is the paper's fusion block (AFNB), with the same map its pyramid block (APNB).

    Args:
        seen_channels: Channels of the map that is looked at.
        in_channels: Channels of the map that looks.
        channels: M.
        out_channels: Channels of the result.
        query_scales: By how much queries are made smaller, of each attention.
        key_pool_scales: Cells in each direction, of each pooling level.
        same_map: Look at the same map: queries and keys are one projection, and the result is activated.
        options: Of the convolutions.
    """

    def __init__(
        self,
        seen_channels: int,
        in_channels: int,
        *,
        channels: int,
        out_channels: int,
        query_scales: Sequence[int],
        key_pool_scales: Sequence[int],
        same_map: bool,
        options: ConvOptions,
    ) -> None:
        super().__init__()
        found = in_channels if same_map else out_channels
        self.stages = nn.ModuleList(
            SelfAttentionBlock(
                seen_channels,
                in_channels,
                channels=channels,
                out_channels=found,
                share_key_query=same_map,
                query_downsample=nn.MaxPool2d(scale) if scale > 1 else None,
                key_downsample=PPMConcat(key_pool_scales),
                value_out_norm=False,
                options=options,
            )
            for scale in query_scales
        )
        last = options if same_map else options.but(act_cfg=None)
        self.bottleneck = last.conv(found + in_channels, out_channels)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """(B, I, h, w), and the map that is looked at, to (B, out_channels, h, w)."""
        context = torch.stack([stage(x, seen) for stage in self.stages]).sum(dim=0)
        return self.bottleneck(torch.cat([context, x], dim=1))


@MODELS.register_module()
class ANNHead(BaseDecodeHead):
    """Attention to pooled cells, of the coarse map to the fine, then to itself (Zhu et al., arXiv:1908.07678).

    Args:
        project_channels: M.
        query_scales: See `PyramidAttention`.
        key_pool_scales: See there.
        **kwargs: As of `BaseDecodeHead`.

    Raises:
        ValueError: there are not two maps.
    """

    def __init__(
        self,
        *,
        project_channels: int,
        query_scales: Sequence[int] = (1,),
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        **kwargs: Any,
    ) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        if len(self.map_channels) != 2:
            raise ValueError(f"ANNHead takes a fine and a coarse map, not {len(self.map_channels)} maps")
        fine, coarse = self.map_channels
        shared: dict[str, Any] = {
            "channels": project_channels,
            "query_scales": query_scales,
            "key_pool_scales": key_pool_scales,
            "options": self.options,
        }
        self.fusion = PyramidAttention(fine, coarse, out_channels=coarse, same_map=False, **shared)
        self.bottleneck = self.conv(coarse, self.channels, 3)
        self.context = PyramidAttention(
            self.channels, self.channels, out_channels=self.channels, same_map=True, **shared
        )

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        fine, coarse = self._transform_inputs(inputs)
        x = self.bottleneck(self.dropout(self.fusion(coarse, fine)))
        return self.context(x, x)

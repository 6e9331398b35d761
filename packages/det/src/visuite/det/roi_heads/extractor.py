"""From maps and regions to the features of each region.

Shapes: B images, L levels, C channels, H_l and W_l the size of a level's map, R regions, h and w the bins of a region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.det.registry import MODELS
from visuite.engine.model import BaseModule


@MODELS.register_module()
class SingleRoIExtractor(BaseModule):
    """Read each region from the level that its size belongs to (arXiv:1612.03144, 4.2).

    Args:
        roi_layer: Config of the layer that reads a region: `RoIAlign` or `RoIPool`.
        out_channels: C.
        featmap_strides: Input pixels per pixel of each level.
        finest_scale: Regions up to twice this edge in pixels are read from the first level; a doubling goes one up.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        roi_layer: Mapping[str, Any],
        out_channels: int,
        *,
        featmap_strides: Sequence[int],
        finest_scale: int = 56,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.roi_layers = nn.ModuleList(
            MODELS.build({**roi_layer, "spatial_scale": 1 / stride}) for stride in featmap_strides
        )
        self.out_channels = out_channels
        self.featmap_strides = tuple(featmap_strides)
        self.finest_scale = finest_scale

    @property
    def num_inputs(self) -> int:
        """L."""
        return len(self.featmap_strides)

    def check_maps(self, channels: Sequence[int]) -> None:
        """Compare C with the channels of the maps that will come.

        Raises:
            ValueError: these differ.
        """
        if any(one != self.out_channels for one in channels[: self.num_inputs]):
            raise ValueError(
                f"out_channels of {type(self).__name__} is {self.out_channels}, but it gets maps of {tuple(channels)} "
                "channels"
            )

    def map_roi_levels(self, rois: torch.Tensor, num_levels: int) -> torch.Tensor:
        """Return the level (R,) of each region (R, 5)."""
        edge = ((rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])).clamp(min=0).sqrt()
        return torch.log2(edge / self.finest_scale + 1e-6).floor().clamp(0, num_levels - 1).long()

    def forward(
        self, feats: Sequence[torch.Tensor], rois: torch.Tensor, roi_scale_factor: float | None = None
    ) -> torch.Tensor:
        """Return the features (R, C, h, w) of regions.

        Args:
            feats: (B, C, H_l, W_l) of each level; more than L levels are left aside.
            rois: (R, 5), the number of the image and `xyxy` in pixels of the input.
            roi_scale_factor: Read regions so many times larger.
        """
        wider = rois if roi_scale_factor is None else rescale_rois(rois, roi_scale_factor)
        if self.num_inputs == 1:
            return self.roi_layers[0](feats[0], wider)
        levels = self.map_roi_levels(rois, self.num_inputs)
        # Levels without regions are read too: all of the maps stay in the graph.
        features = wider.new_empty(0)
        for level, (layer, x) in enumerate(zip(self.roi_layers, feats, strict=False)):
            place = (levels == level).nonzero().squeeze(1)
            read = layer(x, wider[place])
            # Written to their places at once: joined and put in order afterwards, they would be in memory three times.
            features = features if level else read.new_empty((len(rois), *read.shape[1:]))
            features[place] = read
        return features


def rescale_rois(rois: torch.Tensor, factor: float) -> torch.Tensor:
    """Return regions (R, 5) so many times larger around their centres."""
    centre, half = (rois[:, 1:3] + rois[:, 3:]) / 2, (rois[:, 3:] - rois[:, 1:3]) / 2 * factor
    return torch.cat([rois[:, :1], centre - half, centre + half], dim=1)

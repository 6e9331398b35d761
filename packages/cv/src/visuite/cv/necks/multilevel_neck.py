"""A pyramid for backbones whose maps are all of one size.

Shapes: B images, C_i channels of the i-th map taken, K channels of all maps handed out, H rows, W columns.

Names of parameters: lateral_convs.0.conv, convs.0.conv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.cv.necks.base import Neck
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class MultiLevelNeck(Neck):
    """Convolve each map, resize it by its scale, and convolve it again: what plain vision transformers need.

    Args:
        in_channels: C_i; one alone stands for a map that all scales are made of.
        out_channels: K.
        scales: By how much each map is enlarged.
        norm_cfg: Config of the norms; None is none.
        act_cfg: Config of the activations; None is none.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: neither one map nor as many as there are scales.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        scales: Sequence[float] = (0.5, 1, 2, 4),
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = None,
        init_cfg: Any = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"},  # noqa: B006 (read only)
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) not in (1, len(scales)):
            raise ValueError(f"in_channels of MultiLevelNeck has 1 entry or {len(scales)}, not {len(in_channels)}")
        self.in_channels = tuple(in_channels)
        self.out_channels = (out_channels,) * len(scales)
        self.scales = tuple(scales)
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.lateral_convs = nn.ModuleList(ConvModule(channels, out_channels, 1, **cfgs) for channels in in_channels)
        self.convs = nn.ModuleList(ConvModule(out_channels, out_channels, 3, padding=1, **cfgs) for _ in scales)

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken, as whole pixels."""
        strides = _repeated(in_strides, len(self.scales))
        return tuple(max(round(stride / scale), 1) for stride, scale in zip(strides, self.scales, strict=True))

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C_i, H, W) to maps (B, K, H * scale, W * scale), one for each scale."""
        self.check_maps(inputs)
        laterals = _repeated([conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)], len(self.scales))
        maps = []
        for x, scale, conv in zip(laterals, self.scales, self.convs, strict=True):
            same = scale == 1
            maps.append(conv(x if same else F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)))
        return tuple(maps)


def _repeated(values: Sequence[Any], count: int) -> Sequence[Any]:
    """Return `count` values: those given, or the only one as often."""
    return values if len(values) == count else list(values) * count

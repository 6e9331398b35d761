"""Squeeze-and-excitation: channels weighed by what the whole map holds.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.conv_module import ConvModule
from visuite.cv.layers.make_divisible import make_divisible
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]

_ACTS: tuple[Cfg, Cfg] = ({"type": "ReLU"}, {"type": "Sigmoid"})


@MODELS.register_module()
class SELayer(nn.Module):
    """Weigh each channel by two 1x1 convolutions of the channels' means (Hu et al., arXiv:1709.01507).

    Args:
        channels: C.
        squeeze_channels: Channels between the two; by default C / `ratio`, rounded to a multiple of `divisor`.
        ratio: See there.
        divisor: See there.
        bias: Of the convolutions; `auto` is yes.
        conv_cfg: Config of the convolutions.
        act_cfg: Config of both activations, or one for each.
        return_weight: Hand out the weights (B, C, 1, 1) instead of the weighed map.

    Raises:
        ValueError: `squeeze_channels` is not positive, or there are not two activations.
    """

    def __init__(
        self,
        channels: int,
        squeeze_channels: int | None = None,
        *,
        ratio: float = 16,
        divisor: int = 8,
        bias: bool | str = "auto",
        conv_cfg: Cfg | None = None,
        act_cfg: Cfg | Sequence[Cfg] = _ACTS,
        return_weight: bool = False,
    ) -> None:
        super().__init__()
        acts = (act_cfg, act_cfg) if isinstance(act_cfg, Mapping) else tuple(act_cfg)
        if len(acts) != 2:
            raise ValueError(f"act_cfg of SELayer is one config or two, not {len(acts)}")
        if squeeze_channels is None:
            squeeze_channels = make_divisible(channels // ratio, divisor)
        if squeeze_channels <= 0:
            raise ValueError(f"squeeze_channels is positive, not {squeeze_channels}")
        self.return_weight = return_weight
        shared: dict[str, Any] = {"bias": bias, "conv_cfg": None if conv_cfg is None else dict(conv_cfg)}
        self.conv1 = ConvModule(channels, squeeze_channels, 1, act_cfg=dict(acts[0]), **shared)
        self.conv2 = ConvModule(squeeze_channels, channels, 1, act_cfg=dict(acts[1]), **shared)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape, or to (B, C, 1, 1) with `return_weight`."""
        weight = self.conv2(self.conv1(x.mean((2, 3), keepdim=True)))
        return weight if self.return_weight else x * weight

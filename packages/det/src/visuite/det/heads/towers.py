"""The stacks of convolutions between features and predictions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from visuite.cv.layers import ConvModule

Cfg = Mapping[str, Any]


def conv_tower(
    in_channels: int, channels: int, depth: int, *, last_conv_cfg: Cfg | None = None, **kwargs: Any
) -> nn.ModuleList:
    """Return 3x3 convolutions, the first from `in_channels`, all to `channels`.

    Args:
        in_channels: Channels of the features (B, in_channels, H, W).
        channels: Channels of what comes out.
        depth: How many there are.
        last_conv_cfg: `conv_cfg` of the last one, where it differs.
        **kwargs: `conv_cfg`, `norm_cfg`, `act_cfg`, `bias` of `ConvModule`.
    """
    widths = [in_channels, *[channels] * depth]
    styles = [kwargs] * (depth - 1) + [{**kwargs, "conv_cfg": last_conv_cfg or kwargs.get("conv_cfg")}]
    return nn.ModuleList(
        ConvModule(*pair, 3, padding=1, **style)
        for pair, style in zip(itertools.pairwise(widths), styles, strict=False)
    )


def prior_bias(probability: float) -> float:
    """Return the bias whose sigmoid is a probability: classes are rare at the start (arXiv:1708.02002, 4.1)."""
    return -math.log((1 - probability) / probability)


def rare_classes(name: str, *, std: float = 0.01, probability: float = 0.01) -> dict[str, Any]:
    """Return an `init_cfg`: small weights, and classes that are rare in the layer of this name."""
    override = {"type": "Normal", "name": name, "std": std, "bias_prob": probability}
    return {"type": "Normal", "layer": "Conv2d", "std": std, "override": override}

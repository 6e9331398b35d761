"""A pyramid for backbones whose maps are all of one size, by transposed convolutions.

Shapes: B images, C channels, H rows, W columns.

Names of parameters: upsample_4x.0 (transposed convolution), .1 (norm) and .3, upsample_2x.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import build_norm_layer
from visuite.cv.necks.base import Neck
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]

_NAMES = {4: "upsample_4x", 2: "upsample_2x", 1: "identity", 0.5: "downsample_2x", 0.25: "downsample_4x"}


@MODELS.register_module()
class Feature2Pyramid(Neck):
    """Bring each map to a size of its own: by learnt steps where it grows, else by maxima (BEiT: arXiv:2106.08254).

    Args:
        embed_dim: C.
        rescales: By how much each map grows: 4, 2, 1, 0.5 or 0.25, each at most once.
        norm_cfg: Config of the norm between the two steps of 4.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: another factor, or one twice.
    """

    def __init__(
        self,
        embed_dim: int,
        rescales: Sequence[float] = (4, 2, 1, 0.5),
        *,
        norm_cfg: Cfg = {"type": "SyncBN", "requires_grad": True},  # noqa: B006 (read only)
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if not set(rescales) <= set(_NAMES) or len(set(rescales)) < len(rescales):
            known = ", ".join(map(str, _NAMES))
            raise ValueError(f"rescales are some of {known}, each at most once, not {tuple(rescales)}")
        self.rescales = tuple(rescales)
        self.in_channels = self.out_channels = (embed_dim,) * len(rescales)
        for factor in rescales:
            self.add_module(_NAMES[factor], _resizing(embed_dim, factor, norm_cfg))

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        return tuple(max(round(stride / factor), 1) for stride, factor in zip(in_strides, self.rescales, strict=True))

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Maps (B, C, H, W) to as many (B, C, H * factor, W * factor)."""
        self.check_maps(inputs)
        return tuple(getattr(self, _NAMES[factor])(x) for x, factor in zip(inputs, self.rescales, strict=True))


def _resizing(channels: int, factor: float, norm_cfg: Cfg) -> nn.Module:
    """Return what brings (B, C, H, W) to (B, C, H * factor, W * factor)."""
    if factor < 1:
        size = round(1 / factor)
        return nn.MaxPool2d(size, stride=size)
    if factor == 1:
        return nn.Identity()
    double = nn.Sequential(nn.ConvTranspose2d(channels, channels, 2, stride=2))
    if factor == 4:
        second = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        double.extend([build_norm_layer(norm_cfg, channels)[1], nn.GELU(), second])
    return double

"""VGG as SSD uses it: its first linear layers are convolutions.

Shapes: B images, C channels in, H rows, W columns. Maps are those of the layers that are named: of VGG-16, 22 gives (B,
512, H / 8, W / 8) and 34 (B, 1024, H / 16, W / 16); sides are rounded up with `ceil_mode`.

Names of parameters: features.0.weight, features.2.weight, ..., counted with activations and pooling layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone, architecture
from visuite.cv.backbones.vgg import VGG, WIDTHS
from visuite.engine.registry import MODELS


@MODELS.register_module()
class SSDVGG(Backbone):
    """VGG (arXiv:1409.1556) with two convolutions, one of them dilated, for a classifier (SSD: arXiv:1512.02325).

    Args:
        depth: 11, 13, 16 or 19.
        in_channels: C.
        with_last_pool: Pool after the last of VGG's stages, before the pooling without stride that SSD has there.
        ceil_mode: Pooling rounds odd sizes up.
        out_indices: Not looked at, for `out_feature_indices` says what is handed out; configs bear it.
        out_feature_indices: Layers whose maps are handed out; the last is 34 in VGG-16.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown depth, or layers that do not exist.
    """

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        *,
        with_last_pool: bool = False,
        ceil_mode: bool = True,
        out_indices: Sequence[int] = (3, 4),
        out_feature_indices: Sequence[int] = (22, 34),
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        blocks = architecture(VGG.arch_settings, depth, "SSDVGG")
        layers: list[nn.Module] = []
        width = in_channels
        for index, (count, wide) in enumerate(zip(blocks, WIDTHS, strict=True)):
            for _ in range(count):
                layers += [nn.Conv2d(width, wide, 3, padding=1), nn.ReLU(inplace=True)]
                width = wide
            if index < len(blocks) - 1 or with_last_pool:
                layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=ceil_mode))
        layers += [
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(width, 1024, 3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(inplace=True),
        ]
        self.features = nn.Sequential(*layers)
        unknown = [index for index in out_feature_indices if not 0 <= index < len(layers)]
        if unknown:
            raise ValueError(f"out_feature_indices names layers outside 0..{len(layers) - 1}: {unknown}")
        self.out_feature_indices = tuple(out_feature_indices)
        self.out_channels, self.out_strides = _told(layers, self.out_feature_indices)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, C, H, W) to one map for each of `out_feature_indices`, as the file's head says."""
        maps = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.out_feature_indices:
                maps.append(x)
        return tuple(maps)


def _told(layers: Sequence[nn.Module], indices: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the channels and the strides behind some of the layers."""
    channels, strides = [], []
    width, stride = 0, 1
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            width = layer.out_channels
        elif isinstance(layer, nn.MaxPool2d) and isinstance(layer.stride, int):
            stride *= layer.stride
        if index in indices:
            channels.append(width)
            strides.append(stride)
    return tuple(channels), tuple(strides)

"""DDRNet.

Shapes: B images, I channels in, C base channels, H rows, W columns. The map of both branches together is (B, 4C, H/8,
W/8); while training it comes second, and first the spatial branch's own (B, 2C, H/8, W/8).

Names of parameters: stem.<0,1>.conv, stem.<2,4>.<block>, context_branch_layers.<stage>.<block>, compression_<1,2>.conv,
down_1.conv, down_2.<0,1>.conv, spatial_branch_layers.<stage>.<block>, spp.*.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.base import Backbone
from visuite.seg.layers import DAPPM, BasicBlock, Bottleneck, ConvOptions, ResidualBlock, make_layer, resize_like
from visuite.seg.layers.conv_options import BN, Cfg
from visuite.seg.registry import MODELS

_RELU: Cfg = {"type": "ReLU", "inplace": True}
#: Blocks of each stage, in both branches.
_STAGES: tuple[tuple[type[ResidualBlock], int], ...] = ((BasicBlock, 2), (BasicBlock, 2), (Bottleneck, 1))


@MODELS.register_module()
class DDRNet(Backbone):
    """A coarse and a fine branch that exchange their maps twice (Hong et al., arXiv:2101.06085).

    Args:
        in_channels: I.
        channels: C.
        ppm_channels: Channels of the branches that pool the coarse map.
        align_corners: How coarse maps are enlarged.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 32,
        *,
        ppm_channels: int = 128,
        align_corners: bool = False,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = _RELU,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        self.align_corners = align_corners
        options = ConvOptions(norm_cfg=norm_cfg, act_cfg=act_cfg)
        plain = options.but(act_cfg=None)
        fine = 2 * channels
        self.stem = make_stem(in_channels, channels, num_blocks=2, options=options)
        self.relu = nn.ReLU()
        wide: dict[str, Any] = {"stride": 2, "options": options}
        self.context_branch_layers = nn.ModuleList(
            make_layer(kind, channels * 2 ** (index + 1), channels * min(4 * 2**index, 8), count, **wide)
            for index, (kind, count) in enumerate(_STAGES)
        )
        self.compression_1 = plain.conv(4 * channels, fine)
        self.down_1 = plain.conv(fine, 4 * channels, 3, stride=2)
        self.compression_2 = plain.conv(8 * channels, fine)
        self.down_2 = nn.Sequential(
            options.conv(fine, 4 * channels, 3, stride=2), plain.conv(4 * channels, 8 * channels, 3, stride=2)
        )
        self.spatial_branch_layers = nn.ModuleList(
            make_layer(kind, fine, fine, count, options=options) for kind, count in _STAGES
        )
        self.spp = DAPPM(16 * channels, ppm_channels, out_channels=4 * channels, num_scales=5)
        self.out_channels = (4 * channels,)
        self.out_strides = (8,)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map, or while training to two, as the file's head says."""
        x = self.stem(x)
        coarse, fine = self.context_branch_layers[0](x), self.spatial_branch_layers[0](x)
        down = self.down_1(self.relu(fine))
        fine = fine + self._enlarged(self.compression_1(self.relu(coarse)), fine)
        coarse = coarse + down
        own = fine

        coarse, fine = (
            self.context_branch_layers[1](self.relu(coarse)),
            self.spatial_branch_layers[1](self.relu(fine)),
        )
        down = self.down_2(self.relu(fine))
        fine = fine + self._enlarged(self.compression_2(self.relu(coarse)), fine)
        coarse = coarse + down

        fine = self.spatial_branch_layers[2](self.relu(fine))
        coarse = self.spp(self.context_branch_layers[2](self.relu(coarse)))
        both = fine + self._enlarged(coarse, fine)
        return (own, both) if self.training else (both,)

    def _enlarged(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return resize_like(x, other, align_corners=self.align_corners)


def make_stem(in_channels: int, channels: int, *, num_blocks: int, options: ConvOptions) -> nn.Sequential:
    """Make what the branches share: (B, I, H, W) to (B, 2C, H / 8, W / 8)."""
    return nn.Sequential(
        options.conv(in_channels, channels, 3, stride=2),
        options.conv(channels, channels, 3, stride=2),
        make_layer(BasicBlock, channels, channels, num_blocks, options=options),
        nn.ReLU(),
        make_layer(BasicBlock, channels, 2 * channels, num_blocks, stride=2, options=options),
        nn.ReLU(),
    )

"""ICNet.

Shapes: B images, I channels in, H rows, W columns, C_i channels out. Three maps (B, C_i, H / s_i, W / s_i) with s = 8,
16, 32: of the image, of the image at half its size, and of the latter's map at half its size.

Names of parameters: backbone.*, psp_modules.<level>.1.conv, psp_bottleneck.conv, conv_sub1.<0,1,2>.conv,
conv_sub2.conv, conv_sub4.conv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.backbones.base import Backbone
from visuite.cv.backbones.resnet import ResNet
from visuite.seg.layers import PPM, ConvOptions
from visuite.seg.layers.conv_options import BN, RELU, Cfg
from visuite.seg.registry import MODELS


@MODELS.register_module()
class ICNet(Backbone):
    """An image cascade: the deeper the network, the smaller the image it sees (Zhao et al., arXiv:1704.08545).

    Args:
        backbone_cfg: A ResNet: its first two stages see the image at half its size, the others a quarter.
        in_channels: I.
        layer_channels: Of the ResNet's second stage and its last.
        light_branch_middle_channels: Of the first two convolutions that see the whole image.
        psp_out_channels: Of pyramid pooling.
        out_channels: C_i.
        pool_scales: Cells in each direction, of each pooling level.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        align_corners: How maps are resized.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        TypeError: the backbone is no ResNet.
        ValueError: channels that are not those of the backbone.
    """

    def __init__(
        self,
        backbone_cfg: Cfg | ResNet,
        in_channels: int = 3,
        *,
        layer_channels: Sequence[int] = (512, 2048),
        light_branch_middle_channels: int = 32,
        psp_out_channels: int = 512,
        out_channels: Sequence[int] = (64, 256, 256),
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        align_corners: bool = False,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone_cfg)
        if not isinstance(self.backbone, ResNet):
            raise TypeError(f"the backbone of ICNet is a ResNet, not a {type(self.backbone).__name__}")
        given = (self.backbone.out_channels[1], self.backbone.out_channels[-1])
        if given != tuple(layer_channels):
            raise ValueError(f"layer_channels are {tuple(layer_channels)}, but the backbone's stages have {given}")
        self.backbone.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.align_corners = align_corners
        options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        second, last = layer_channels
        light = light_branch_middle_channels
        self.psp_modules = PPM(pool_scales, last, psp_out_channels, options=options, align_corners=align_corners)
        self.psp_bottleneck = options.conv(last + len(pool_scales) * psp_out_channels, psp_out_channels, 3)
        self.conv_sub1 = nn.Sequential(
            *(
                options.conv(wide, narrow, 3, stride=2)
                for wide, narrow in ((in_channels, light), (light, light), (light, out_channels[0]))
            )
        )
        self.conv_sub2 = options.conv(second, out_channels[1])
        self.conv_sub4 = options.conv(psp_out_channels, out_channels[2])
        self.out_channels = tuple(out_channels)
        self.out_strides = (8, 16, 32)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to three maps, as the file's head says."""
        half = self.backbone.layer2(self.backbone.layer1(self.backbone.forward_stem(self._halved(x))))
        quarter = self.backbone.layer4(self.backbone.layer3(self._halved(half)))
        pooled = self.psp_bottleneck(torch.cat([*self.psp_modules(quarter), quarter], dim=1))
        return self.conv_sub1(x), self.conv_sub2(half), self.conv_sub4(pooled)

    def _halved(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, C, h / 2, w / 2), each pixel from the middle of four, where an edge is odd too."""
        return F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=self.align_corners)

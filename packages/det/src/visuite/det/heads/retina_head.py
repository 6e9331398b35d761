"""RetinaNet's head (Lin et al., arXiv:1708.02002).

Shapes: B images, C channels of the features, F of the towers, H rows, W columns, A anchors at each place, K' scores
for each anchor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.det.heads.anchor_head import AnchorHead
from visuite.det.heads.towers import Cfg, conv_tower, rare_classes
from visuite.det.registry import MODELS

ANCHORS: Cfg = {
    "type": "AnchorGenerator",
    "octave_base_scale": 4,
    "scales_per_octave": 3,
    "ratios": [0.5, 1.0, 2.0],
    "strides": [8, 16, 32, 64, 128],
}


@MODELS.register_module()
class RetinaHead(AnchorHead):
    """A tower for classes and one for boxes, shared by all levels.

    Names of parameters: cls_convs.0.conv, reg_convs.0.conv, ..., retina_cls, retina_reg.

    Args:
        num_classes: K.
        in_channels: C.
        stacked_convs: Convolutions in each tower.
        feat_channels: F.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms; None is none.
        anchor_generator: Config or object.
        init_cfg: How weights are initialised.
        **kwargs: See `AnchorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        stacked_convs: int = 4,
        feat_channels: int = 256,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        anchor_generator: Mapping[str, Any] | Any = ANCHORS,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        self.stacked_convs = stacked_convs
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg
        super().__init__(
            num_classes,
            in_channels,
            feat_channels=feat_channels,
            anchor_generator=anchor_generator,
            init_cfg=init_cfg or rare_classes("retina_cls"),
            **kwargs,
        )

    def make_layers(self) -> None:
        """Make the towers and the last layers."""
        style = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        self.cls_convs = conv_tower(self.in_channels, self.feat_channels, self.stacked_convs, **style)
        self.reg_convs = conv_tower(self.in_channels, self.feat_channels, self.stacked_convs, **style)
        width = self.feat_channels if self.stacked_convs else self.in_channels
        self.retina_cls = nn.Conv2d(width, self.num_base_priors * self.cls_out_channels, 3, padding=1)
        self.retina_reg = nn.Conv2d(width, self.num_base_priors * 4, 3, padding=1)

    def forward_single(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn features (B, C, H, W) into scores (B, A * K', H, W) and offsets (B, A * 4, H, W)."""
        cls_feat = reg_feat = x
        for conv in self.cls_convs:
            cls_feat = conv(cls_feat)
        for conv in self.reg_convs:
            reg_feat = conv(reg_feat)
        return self.retina_cls(cls_feat), self.retina_reg(reg_feat)

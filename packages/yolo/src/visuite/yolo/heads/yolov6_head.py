"""YOLOv6's head: a stem for each level, a convolution for classes and one for distances (Li et al., arXiv:2209.02976;
v3.0, arXiv:2301.05586).

Shapes: B images, C_l channels of level l, H rows, W columns, K classes, R steps of a distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.det.heads.dense import Features
from visuite.det.heads.towers import prior_bias
from visuite.engine.model import BaseModule
from visuite.yolo.heads.points import PointDense
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class YOLOv6HeadModule(BaseModule):
    """A 1x1 convolution for each level, then a 3x3 one and a 1x1 one for classes, and two such for distances.

    Names of parameters: stems.l.conv, cls_convs.l.conv, cls_preds.l, reg_convs.l.conv, reg_preds.l.

    Args:
        num_classes: K.
        in_channels: C_l before widening, one for each level or one for all.
        widen_factor: Factor of the channels.
        num_base_priors: Points at each place; there is one.
        reg_max: R - 1, the largest distance that a distribution can tell; 0: distances are told straight.
        featmap_strides: Input pixels per place of each level.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int | Sequence[int],
        *,
        widen_factor: float = 1.0,
        num_base_priors: int = 1,
        reg_max: int = 0,
        featmap_strides: Sequence[int] = (8, 16, 32),
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU", "inplace": True},  # noqa: B006
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_base_priors != 1:
            raise ValueError(f"there is one point at a place, not num_base_priors={num_base_priors}")
        widths = [in_channels] * len(featmap_strides) if isinstance(in_channels, int) else in_channels
        self.num_classes, self.featmap_strides = num_classes, tuple(featmap_strides)
        self.in_channels = [make_divisible(width, widen_factor) for width in widths]
        self.num_steps = reg_max + 1

        def convolutions(size: int) -> nn.ModuleList:
            style: dict[str, Any] = {"padding": size // 2, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
            return nn.ModuleList(ConvModule(width, width, size, **style) for width in self.in_channels)

        def predictors(out_channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(width, out_channels, 1) for width in self.in_channels)

        self.stems, self.cls_convs, self.reg_convs = convolutions(1), convolutions(3), convolutions(3)
        self.cls_preds, self.reg_preds = predictors(num_classes), predictors(4 * self.num_steps)

    def init_weights(self) -> None:
        """Initialise the weights: rare classes and distances of one step, whatever the features."""
        super().init_weights()
        for convs, bias in ((self.cls_preds, prior_bias(0.01)), (self.reg_preds, 1.0)):
            for conv in convs:
                nn.init.zeros_(conv.weight)  # type: ignore[arg-type]
                nn.init.constant_(conv.bias, bias)  # type: ignore[arg-type]

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Turn features (B, C_l, H_l, W_l) into classes (B, K, H_l, W_l) and distances (B, 4 * R, H_l, W_l)."""
        scores, distances = [], []
        for level, x in enumerate(feats):
            x = self.stems[level](x)
            scores.append(self.cls_preds[level](self.cls_convs[level](x)))
            distances.append(self.reg_preds[level](self.reg_convs[level](x)))
        return scores, distances


@MODELS.register_module()
class YOLOv6Head(PointDense):
    """Points that learn classes by the varifocal loss, and distances straight, or in some v3.0 models as distributions.

    Arguments as of `PointDense`.
    """

    least_total = 0.0

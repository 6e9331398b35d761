"""PP-YOLOE's head: features weighed by what the whole map holds, distances as distributions (Xu et al.,
arXiv:2203.16250).

Shapes: B images, C_l channels of level l, H rows, W columns, K classes, R steps of a distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.cv.ops import full_precision
from visuite.det.heads.dense import Features
from visuite.det.heads.levels import Maps
from visuite.det.heads.towers import prior_bias
from visuite.engine.model import BaseModule
from visuite.yolo.heads.points import PointDense
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


class WeighedStem(nn.Module):
    """Weigh each channel by a 1x1 convolution of the channels' means, then convolve 1x1 (ESE, Lee and Park,
    arXiv:1911.06667).

    Args:
        channels: C.
        norm_cfg: Config of the convolution's norm.
        act_cfg: Config of its activation.
    """

    def __init__(self, channels: int, *, norm_cfg: Cfg | None, act_cfg: Cfg | None) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.conv = ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        nn.init.normal_(self.fc.weight, std=0.001)

    def forward(self, x: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Turn features (B, C, H, W), given their means (B, C, 1, 1), into as many."""
        return self.conv(x * self.fc(means).sigmoid())


@MODELS.register_module()
class PPYOLOEHeadModule(BaseModule):
    """A stem and a 3x3 convolution for classes, and the same for distances, at each level.

    Names of parameters: {cls,reg}_stems.l.{fc,conv.conv}, {cls,reg}_preds.l.

    Args:
        num_classes: K.
        in_channels: C_l before widening, one for each level or one for all.
        widen_factor: Factor of the channels.
        num_base_priors: Points at each place; there is one.
        featmap_strides: Input pixels per place of each level.
        reg_max: R - 1, the largest distance that a distribution can tell.
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
        featmap_strides: Sequence[int] = (8, 16, 32),
        reg_max: int = 16,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.1, "eps": 1e-5},  # noqa: B006 (read only, as the next)
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

        def stems() -> nn.ModuleList:
            return nn.ModuleList(WeighedStem(width, norm_cfg=norm_cfg, act_cfg=act_cfg) for width in self.in_channels)

        def predictors(out_channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(width, out_channels, 3, padding=1) for width in self.in_channels)

        self.cls_stems, self.reg_stems = stems(), stems()
        self.cls_preds, self.reg_preds = predictors(num_classes), predictors(4 * self.num_steps)

    def init_weights(self) -> None:
        """Initialise the weights: rare classes and distributions alike, whatever the features."""
        super().init_weights()
        for convs, bias in ((self.cls_preds, prior_bias(0.01)), (self.reg_preds, 1.0)):
            for conv in convs:
                nn.init.zeros_(conv.weight)  # type: ignore[arg-type]
                nn.init.constant_(conv.bias, bias)  # type: ignore[arg-type]

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Turn features (B, C_l, H_l, W_l) into classes (B, K, H_l, W_l) and distributions (B, 4 * R, H_l, W_l)."""
        scores, distances = [], []
        for level, x in enumerate(feats):
            means = x.mean((2, 3), keepdim=True)
            scores.append(self.cls_preds[level](self.cls_stems[level](x, means) + x))
            distances.append(self.reg_preds[level](self.reg_stems[level](x, means)))
        return scores, distances


@MODELS.register_module()
class PPYOLOEHead(PointDense):
    """Points that learn classes by the varifocal loss, and distances as distributions.

    Args:
        head_module: Config or object, a `PPYOLOEHeadModule`.
        dfl_by_point: Let `loss_dfl` see the distributions of the points themselves, as in the paper. By default it sees
            the numbers of a level cut in the order in which the map (4 * R, H_l, W_l) holds them, which is what
            published weights and their losses come from.
        **kwargs: See `PointDense`.
    """

    least_total = 0.0

    def __init__(self, head_module: Any, *, dfl_by_point: bool = False, **kwargs: Any) -> None:
        super().__init__(head_module, **kwargs)
        self.dfl_by_point = dfl_by_point

    def _distributions(self, bbox_preds: Maps) -> torch.Tensor:
        """Return the distributions (B, P, 4 * R) that `loss_dfl` sees."""
        if self.dfl_by_point:
            return super()._distributions(bbox_preds)
        rows = [level.reshape(len(level), -1, 4 * self.num_steps) for level in bbox_preds]
        return full_precision(torch.cat(rows, dim=1))

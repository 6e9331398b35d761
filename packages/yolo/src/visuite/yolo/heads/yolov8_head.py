"""YOLOv8's head: classes and distances in separate branches, distances as distributions, task-aligned assignment
(assignment: TOOD, Feng et al., arXiv:2108.07755; distributions: GFL, Li et al., arXiv:2006.04388).

Shapes: B images, C_l channels of level l, P points of all levels, K classes, R steps of a distribution, N positive
points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.det.heads.dense import Features
from visuite.engine.model import BaseModule
from visuite.yolo.heads.points import PointDense
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]

LOSS_CLS: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "none", "loss_weight": 0.5}
LOSS_BBOX: Cfg = {
    "type": "IoULoss",
    "iou_mode": "ciou",
    "bbox_format": "xyxy",
    "reduction": "sum",
    "loss_weight": 7.5,
    "return_iou": False,
}
LOSS_DFL: Cfg = {"type": "DistributionFocalLoss", "reduction": "mean", "loss_weight": 0.375}


@MODELS.register_module()
class YOLOv8HeadModule(BaseModule):
    """Two branches for each level, of two 3x3 convolutions and a 1x1 one.

    Names of parameters: cls_preds.l.{0,1}.conv, cls_preds.l.2, reg_preds.l.{0,1}.conv, reg_preds.l.2.

    Args:
        num_classes: K.
        in_channels: C_l before widening, one for each level or one for all.
        widen_factor: Factor of the channels.
        num_base_priors: Points at each place; there is one.
        featmap_strides: Input pixels per place of each level.
        reg_max: R.
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
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU", "inplace": True},  # noqa: B006
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_base_priors != 1:
            raise ValueError(f"there is one point at a place, not num_base_priors={num_base_priors}")
        widths = [in_channels] * len(featmap_strides) if isinstance(in_channels, int) else in_channels
        self.num_classes, self.num_steps, self.featmap_strides = num_classes, reg_max, tuple(featmap_strides)
        self.in_channels = [make_divisible(width, widen_factor) for width in widths]
        inner = {
            "cls": max(self.in_channels[0], num_classes),
            "reg": max(16, self.in_channels[0] // 4, 4 * reg_max),
        }

        def branch(width: int, name: str, out_channels: int) -> nn.Sequential:
            style: dict[str, Any] = {"padding": 1, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
            return nn.Sequential(
                ConvModule(width, inner[name], 3, **style),
                ConvModule(inner[name], inner[name], 3, **style),
                nn.Conv2d(inner[name], out_channels, 1),
            )

        self.cls_preds = nn.ModuleList(branch(width, "cls", num_classes) for width in self.in_channels)
        self.reg_preds = nn.ModuleList(branch(width, "reg", 4 * reg_max) for width in self.in_channels)

    def init_weights(self) -> None:
        """Initialise the weights: about 5 objects in an image of 640 pixels, and distances of one step."""
        super().init_weights()
        for cls_pred, reg_pred, stride in zip(self.cls_preds, self.reg_preds, self.featmap_strides, strict=True):
            nn.init.constant_(reg_pred[-1].bias, 1.0)  # type: ignore[index]
            nn.init.constant_(cls_pred[-1].bias, math.log(5 / self.num_classes / (640 / stride) ** 2))  # type: ignore[index]

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Turn features (B, C_l, H_l, W_l) into classes (B, K, H_l, W_l) and distributions (B, 4 * R, H_l, W_l)."""
        scores = [branch(x) for branch, x in zip(self.cls_preds, feats, strict=True)]
        distances = [branch(x) for branch, x in zip(self.reg_preds, feats, strict=True)]
        return scores, distances


@MODELS.register_module()
class YOLOv8Head(PointDense):
    """Task-aligned points, with losses for classes, boxes and the distributions of distances.

    Args:
        head_module: Config or object, a `YOLOv8HeadModule`.
        loss_cls: Config or object.
        loss_bbox: Config or object.
        loss_dfl: Config or object.
        **kwargs: See `PointDense`.
    """

    times_images = True

    def __init__(
        self,
        head_module: Any,
        *,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        loss_dfl: Any = LOSS_DFL,
        **kwargs: Any,
    ) -> None:
        super().__init__(head_module, loss_cls=loss_cls, loss_bbox=loss_bbox, loss_dfl=loss_dfl, **kwargs)

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
from visuite.det.heads.dense import DenseOutputs, Features
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes, mean_over_ranks
from visuite.engine.model import BaseModule
from visuite.yolo.heads.dense import YOLODense, images_of_all
from visuite.yolo.heads.points import PointAssigners, expected_steps
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.layers.sizes import make_divisible
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]


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
        self.num_classes, self.reg_max, self.featmap_strides = num_classes, reg_max, tuple(featmap_strides)
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
class YOLOv8Head(YOLODense):
    """Task-aligned points, with losses for classes, boxes and the distributions of distances.

    Args:
        head_module: Config or object, a `YOLOv8HeadModule`.
        prior_generator: Where points stand.
        bbox_coder: Distances in strides to boxes.
        loss_cls: Config or object; reduction `none`.
        loss_bbox: Config or object; reduction `sum`.
        loss_dfl: Config or object.
        train_cfg: See `YOLODense`.
        test_cfg: See `YOLODense`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        head_module: Any,
        *,
        prior_generator: Any = {  # noqa: B006 (read only, as the next)
            "type": "det.MlvlPointGenerator",
            "offset": 0.5,
            "strides": [8, 16, 32],
        },
        bbox_coder: Any = {"type": "DistancePointBBoxCoder"},  # noqa: B006
        loss_cls: Any = {  # noqa: B006
            "type": "CrossEntropyLoss",
            "use_sigmoid": True,
            "reduction": "none",
            "loss_weight": 0.5,
        },
        loss_bbox: Any = {  # noqa: B006
            "type": "IoULoss",
            "iou_mode": "ciou",
            "bbox_format": "xyxy",
            "reduction": "sum",
            "loss_weight": 7.5,
            "return_iou": False,
        },
        loss_dfl: Any = {"type": "DistributionFocalLoss", "reduction": "mean", "loss_weight": 0.375},  # noqa: B006
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(
            head_module,
            prior_generator=prior_generator,
            bbox_coder=bbox_coder,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        self.reg_max = self.head_module.reg_max
        self.loss_cls, self.loss_bbox, self.loss_dfl = (MODELS.build(one) for one in (loss_cls, loss_bbox, loss_dfl))
        self.assigners = PointAssigners(self.train_cfg)

    def loss_by_feat(self, cls_scores: Maps, bbox_preds: Maps, *, truth: BatchTruth) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox` and `loss_dfl`."""
        scores, written = flatten_levels(cls_scores, self.num_classes), flatten_levels(bbox_preds, 4 * self.reg_max)
        priors = self.places(cls_scores)
        boxes = self.decode_boxes(priors, expected_steps(written, self.reg_max))
        targets = self.assigners.assign(boxes, scores.sigmoid(), priors, truth)
        total = mean_over_ranks(targets.scores.sum(), like=scores)
        losses = {"loss_cls": self.loss_cls(scores, targets.scores).sum() / total}

        image, place = targets.positive.nonzero(as_tuple=True)
        weight = targets.scores[image, place].sum(dim=-1)
        stride = priors[place, 2:]
        wanted = targets.boxes[image, place] / stride.repeat(1, 2)
        losses["loss_bbox"] = self.loss_bbox(boxes[image, place] / stride.repeat(1, 2), wanted, weight=weight) / total
        distances = self.bbox_coder.encode(priors[place, :2] / stride, wanted, max_dis=self.reg_max - 1, eps=0.01)
        losses["loss_dfl"] = self.loss_dfl(
            written[image, place].reshape(-1, self.reg_max),
            distances.reshape(-1),
            weight=weight[:, None].expand(-1, 4).reshape(-1),
            avg_factor=total,
        )
        images = images_of_all(len(scores))
        return {name: loss * images for name, loss in losses.items()}

    def read(self, cls_scores: Maps, bbox_preds: Maps) -> DenseOutputs:
        """Read classes and distances in strides."""
        return DenseOutputs(
            flatten_levels(cls_scores, self.num_classes).sigmoid(),
            expected_steps(flatten_levels(bbox_preds, 4 * self.reg_max), self.reg_max),
            self.places(cls_scores),
            [h * w for h, w in map_sizes(cls_scores)],
        )

    def decode_boxes(
        self, priors: torch.Tensor, boxes: torch.Tensor, max_shape: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return boxes (..., N, 4) of distances (..., N, 4), in strides, from places (N, 4)."""
        return self.bbox_coder.decode(priors[..., :2], boxes, priors[..., 2])

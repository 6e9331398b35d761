"""FCOS: each place inside an object tells how far its edges are (Tian et al., arXiv:1904.01355).

Shapes: B images, C channels of the features, F of the towers, H rows, W columns, P places of all levels, K classes, G
objects of an image, N places that belong to objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import Scale
from visuite.det.boxes import bbox2distance
from visuite.det.heads.atss_head import GROUP_NORM, centrality_of
from visuite.det.heads.dense import Cfg, DenseHead, DenseOutputs, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels, level_numbers, map_sizes, mean_over_ranks
from visuite.det.heads.towers import conv_tower, rare_classes
from visuite.det.registry import MODELS, TASK_UTILS
from visuite.engine.structures import InstanceData

INFINITE = 1e8
#: Objects that are compared with all places at a time.
_CHUNK = 64


@MODELS.register_module()
class FCOSHead(DenseHead):
    """A tower for classes and one for distances, and how central in its object a place is.

    Names of parameters: cls_convs.i.conv, reg_convs.i.conv, conv_cls, conv_reg, conv_centerness, scales.i.scale.

    Args:
        num_classes: K.
        in_channels: C.
        feat_channels: F.
        stacked_convs: Convolutions in each tower.
        strides: Input pixels per place of each level.
        regress_ranges: Least and greatest of an object's largest distance, in pixels, of each level.
        center_sampling: Only places near the centre of an object belong to it.
        center_sample_radius: How near, in strides.
        norm_on_bbox: Distances are in strides, and cut at 0, instead of exponentials.
        centerness_on_reg: Centrality is told by the tower for distances.
        dcn_on_last_conv: The last convolution of each tower is deformable.
        conv_bias: `auto` (where there is no norm), or whether the towers' convolutions have a bias.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        bbox_coder: Config or object.
        loss_cls: Config or object.
        loss_bbox: Config or object.
        loss_centerness: Config or object.
        train_cfg: Nothing of it is used.
        test_cfg: See `DenseHead`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: not one range for each stride.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        regress_ranges: Sequence[tuple[float, float]] = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, INFINITE)),
        center_sampling: bool = False,
        center_sample_radius: float = 1.5,
        norm_on_bbox: bool = False,
        centerness_on_reg: bool = False,
        dcn_on_last_conv: bool = False,
        conv_bias: bool | str = "auto",
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = GROUP_NORM,
        bbox_coder: Cfg | Any = {"type": "DistancePointBBoxCoder"},  # noqa: B006 (read only, as the next)
        loss_cls: Cfg | nn.Module = {"type": "FocalLoss", "use_sigmoid": True},  # noqa: B006
        loss_bbox: Cfg | nn.Module = {"type": "IoULoss", "loss_weight": 1.0},  # noqa: B006
        loss_centerness: Cfg | nn.Module = {"type": "CrossEntropyLoss", "use_sigmoid": True},  # noqa: B006
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(train_cfg=train_cfg, test_cfg=test_cfg, init_cfg=init_cfg or rare_classes("conv_cls"))
        if len(regress_ranges) != len(strides):
            raise ValueError(f"{len(regress_ranges)} regress_ranges for {len(strides)} strides")
        self.num_classes, self.in_channels = num_classes, in_channels
        self.strides, self.regress_ranges = tuple(strides), tuple(regress_ranges)
        self.center_sampling, self.center_sample_radius = center_sampling, center_sample_radius
        self.norm_on_bbox, self.centerness_on_reg = norm_on_bbox, centerness_on_reg
        self.prior_generator = TASK_UTILS.build({"type": "MlvlPointGenerator", "strides": list(strides)})
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.loss_cls, self.loss_bbox = MODELS.build(loss_cls), MODELS.build(loss_bbox)
        self.loss_centerness = MODELS.build(loss_centerness)
        self.cls_out_channels = num_classes
        style = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "bias": conv_bias}
        last = {"type": "DCNv2"} if dcn_on_last_conv else conv_cfg
        self.cls_convs = conv_tower(in_channels, feat_channels, stacked_convs, last_conv_cfg=last, **style)
        self.reg_convs = conv_tower(in_channels, feat_channels, stacked_convs, last_conv_cfg=last, **style)
        self.conv_cls = nn.Conv2d(feat_channels, num_classes, 3, padding=1)
        self.conv_reg = nn.Conv2d(feat_channels, 4, 3, padding=1)
        self.conv_centerness = nn.Conv2d(feat_channels, 1, 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in strides)

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features into scores (B, K, H_l, W_l), distances in pixels (B, 4, ...) and centralities (B, 1, ...)."""
        maps = [self._level(*one) for one in zip(feats, self.scales, self.strides, strict=True)]
        return tuple(list(one) for one in zip(*maps, strict=True))

    def _level(self, x: torch.Tensor, scale: nn.Module, stride: int) -> tuple[torch.Tensor, ...]:
        cls_feat = reg_feat = x
        for conv in self.cls_convs:
            cls_feat = conv(cls_feat)
        for conv in self.reg_convs:
            reg_feat = conv(reg_feat)
        central = self.conv_centerness(reg_feat if self.centerness_on_reg else cls_feat)
        distance = scale(self.conv_reg(reg_feat)).float()
        distance = distance.relu() * stride if self.norm_on_bbox else distance.exp()
        return self.conv_cls(cls_feat), distance, central

    def loss_by_feat(
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        centernesses: Maps,
        *,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox` and `loss_centerness`; boxes count the more the more central their places."""
        sizes = map_sizes(cls_scores)
        points = self._points(cls_scores)
        found = [
            self.get_targets(points, level_numbers(sizes, [1] * len(sizes), points.device), one)
            for one in batch_gt_instances
        ]
        labels, boxes = (torch.stack(column) for column in zip(*found, strict=True))
        positive = labels < self.num_classes
        scores = flatten_levels(cls_scores, self.num_classes)
        count = mean_over_ranks(positive.sum(), like=scores)
        at = points.expand(len(scores), -1, -1)[positive]
        distances = flatten_levels(bbox_preds, 4)[positive]
        central = flatten_levels(centernesses, 1)[positive].squeeze(-1)
        centrality = centrality_of(bbox2distance(at, boxes[positive]))
        total = mean_over_ranks(centrality.sum(), like=scores, least=1e-6)
        return {
            "loss_cls": self.loss_cls(scores.flatten(0, 1), labels.flatten(), avg_factor=count),
            "loss_bbox": self.loss_bbox(
                self.bbox_coder.decode(at, distances), boxes[positive], centrality, avg_factor=total
            ),
            "loss_centerness": self.loss_centerness(central, centrality, avg_factor=count),
        }

    def get_targets(
        self, points: torch.Tensor, levels: torch.Tensor, objects: InstanceData
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the class (P,), K being background, and the box (P, 4) of the object that each place belongs to.

        That is the smallest of those that the place lies in and whose size is that of its level. Objects are looked at
        by the dozen, so that a thousand of them need no more memory than a few.

        Args:
            points: Places (P, 2).
            levels: The number of their level (P,).
            objects: `bboxes` (G, 4) and `labels` (G,).
        """
        area = points.new_full((len(points),), math.inf)
        chosen = torch.zeros(len(points), dtype=torch.long, device=points.device)
        least, most = points.new_tensor(self.regress_ranges).T[:, levels]
        radius = points.new_tensor(self.strides)[levels] * self.center_sample_radius
        boxes = objects.bboxes
        for start in range(0, len(boxes), _CHUNK):
            some = boxes[start : start + _CHUNK]
            distances = torch.cat([points[:, None] - some[:, :2], some[:, 2:] - points[:, None]], dim=2)
            inside = distances.amin(dim=2) > 0
            if self.center_sampling:
                middle = (some[:, :2] + some[:, 2:]) / 2
                inside &= (points[:, None] - middle).abs().amax(dim=2) < radius[:, None]
            reach = distances.amax(dim=2)
            inside &= (reach >= least[:, None]) & (reach <= most[:, None])
            sizes = (some[:, 2] - some[:, 0]) * (some[:, 3] - some[:, 1])
            smallest, index = sizes.expand(len(points), -1).masked_fill(~inside, math.inf).min(dim=1)
            better = smallest < area
            area = torch.where(better, smallest, area)
            chosen = torch.where(better, index + start, chosen)
        if len(boxes) == 0:
            return torch.full_like(chosen, self.num_classes), points.new_zeros((len(points), 4))
        return objects.labels[chosen].masked_fill(area.isinf(), self.num_classes), boxes[chosen]

    def read(self, cls_scores: Maps, bbox_preds: Maps, centernesses: Maps) -> DenseOutputs:
        """Read scores, distances and centralities; the last multiply the first once candidates are chosen."""
        counts = [h * w for h, w in map_sizes(cls_scores)]
        return DenseOutputs(
            flatten_levels(cls_scores, self.num_classes).sigmoid(),
            flatten_levels(bbox_preds, 4),
            self._points(cls_scores),
            counts,
            flatten_levels(centernesses, 1).squeeze(-1).sigmoid(),
        )

    def _points(self, maps: Maps) -> torch.Tensor:
        return torch.cat(self.prior_generator.grid_priors(map_sizes(maps), dtype=torch.float32, device=maps[0].device))

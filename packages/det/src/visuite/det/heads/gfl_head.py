"""Generalized focal loss: scores that tell how good a box is, and edges as distributions (Li et al., arXiv:2006.04388).

Shapes: B images, C channels of the features, H rows, W columns, P places of all levels, K classes, n + 1 whole
distances 0..n in strides, N places that belong to objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import Scale
from visuite.cv.ops import bbox_overlaps
from visuite.det.boxes import bbox2distance, distance2bbox
from visuite.det.heads.anchor_head import AnchorHead
from visuite.det.heads.anchor_targets import by_level
from visuite.det.heads.dense import Cfg, DenseOutputs, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels, level_numbers, map_sizes, mean_over_ranks
from visuite.det.heads.towers import conv_tower, rare_classes
from visuite.det.registry import MODELS
from visuite.engine.structures import InstanceData


class Integral(nn.Module):
    """The mean of a distribution over the whole distances 0..n.

    Args:
        reg_max: n.
    """

    project: torch.Tensor

    def __init__(self, reg_max: int = 16) -> None:
        super().__init__()
        self.reg_max = reg_max
        self.register_buffer("project", torch.linspace(0, reg_max, reg_max + 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn logits (..., 4 * (n + 1)) into distances (..., 4)."""
        return x.unflatten(-1, (4, self.reg_max + 1)).softmax(dim=-1) @ self.project.to(x)


@MODELS.register_module()
class GFLHead(AnchorHead):
    """A tower for classes and one for boxes; the score of a class is the overlap that its box will have.

    Names of parameters: cls_convs.i.conv, reg_convs.i.conv, gfl_cls, gfl_reg, scales.i.scale, integral.project.

    Args:
        num_classes: K.
        in_channels: C.
        stacked_convs: Convolutions in each tower.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        loss_dfl: Config or object, of the distributions.
        bbox_coder: Config or object; writes boxes as distances.
        reg_max: n.
        init_cfg: How weights are initialised.
        **kwargs: See `AnchorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        stacked_convs: int = 4,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "GN", "num_groups": 32, "requires_grad": True},  # noqa: B006 (read only, as the next)
        loss_dfl: Cfg | nn.Module = {"type": "DistributionFocalLoss", "loss_weight": 0.25},  # noqa: B006
        bbox_coder: Cfg | Any = {"type": "DistancePointBBoxCoder"},  # noqa: B006
        reg_max: int = 16,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        self.stacked_convs, self.reg_max = stacked_convs, reg_max
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg
        super().__init__(
            num_classes,
            in_channels,
            bbox_coder=bbox_coder,
            reg_decoded_bbox=True,
            init_cfg=init_cfg or rare_classes("gfl_cls"),
            **kwargs,
        )
        self.loss_dfl = MODELS.build(loss_dfl)
        self.integral = Integral(reg_max)

    def make_layers(self) -> None:
        """Make the towers and the last layers.

        Raises:
            ValueError: several anchors at a place, which distributions have no use for.
        """
        if self.num_base_priors != 1:
            raise ValueError(f"GFLHead has one anchor at each place, its anchor_generator makes {self.num_base_priors}")
        style = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        self.cls_convs = conv_tower(self.in_channels, self.feat_channels, self.stacked_convs, **style)
        self.reg_convs = conv_tower(self.in_channels, self.feat_channels, self.stacked_convs, **style)
        self.gfl_cls = nn.Conv2d(self.feat_channels, self.cls_out_channels, 3, padding=1)
        self.gfl_reg = nn.Conv2d(self.feat_channels, 4 * (self.reg_max + 1), 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.prior_generator.strides)

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C, H_l, W_l) into maps of scores (B, K, H_l, W_l) and logits (B, 4 * (n + 1), H_l, W_l)."""
        scores, logits = [], []
        for x, scale in zip(feats, self.scales, strict=True):
            cls_feat = reg_feat = x
            for conv in self.cls_convs:
                cls_feat = conv(cls_feat)
            for conv in self.reg_convs:
                reg_feat = conv(reg_feat)
            scores.append(self.gfl_cls(cls_feat))
            logits.append(scale(self.gfl_reg(reg_feat)).float())
        return scores, logits

    def assign(self, priors: InstanceData, objects: InstanceData, ignored: InstanceData | None) -> Any:
        """Assign the priors of an image to its objects, level by level."""
        return by_level(self.assigner, self.prior_generator.num_levels)(priors, objects, ignored)

    def loss_by_feat(
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        *,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox` and `loss_dfl`; boxes count as much as the best score at their place."""
        anchors, _ = self.priors(cls_scores)
        sizes = map_sizes(cls_scores)
        targets = self.targets(anchors, sizes, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore)
        scores = flatten_levels(cls_scores, self.cls_out_channels)
        places = self._places(anchors, sizes).expand(len(scores), -1, -1)[targets.positive]
        points, stride = places[:, :2], places[:, 2:]
        logits = flatten_levels(bbox_preds, 4 * (self.reg_max + 1))[targets.positive]

        boxes, truth = distance2bbox(points / stride, self.integral(logits)), targets.boxes / stride
        weight = scores.detach().sigmoid().amax(dim=-1)[targets.positive]
        quality = scores.new_zeros(targets.labels.shape)
        quality[targets.positive] = bbox_overlaps(boxes.detach(), truth, is_aligned=True)
        count = mean_over_ranks(targets.avg_factor, like=scores)
        total = mean_over_ranks(weight.sum(), like=scores)
        distances = bbox2distance(points / stride, truth, self.reg_max)
        return {
            "loss_cls": self.loss_cls(
                scores.flatten(0, 1),
                (targets.labels.flatten(), quality.flatten()),
                targets.label_weights.flatten(),
                avg_factor=count,
            ),
            "loss_bbox": self.loss_bbox(boxes, truth, weight, avg_factor=1.0) / total,
            "loss_dfl": self.loss_dfl(
                logits.view(-1, self.reg_max + 1),
                distances.flatten(),
                weight[:, None].expand(-1, 4).flatten(),
                avg_factor=4.0,
            )
            / total,
        }

    def read(self, cls_scores: Maps, bbox_preds: Maps) -> DenseOutputs:
        """Read scores (B, K, H_l, W_l) and logits (B, 4 * (n + 1), H_l, W_l)."""
        scores = flatten_levels(cls_scores, self.cls_out_channels)
        scores = scores.sigmoid() if self.use_sigmoid_cls else scores.softmax(dim=-1)[..., :-1]
        anchors, counts = self.priors(cls_scores)
        places = self._places(anchors, map_sizes(cls_scores))
        return DenseOutputs(scores, flatten_levels(bbox_preds, 4 * (self.reg_max + 1)), places, counts)

    def decode_boxes(
        self, priors: torch.Tensor, boxes: torch.Tensor, max_shape: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return boxes (N, 4) of logits (N, 4 * (n + 1)) at places (N, 3)."""
        return self.bbox_coder.decode(priors[:, :2], self.integral(boxes) * priors[:, 2:], max_shape=max_shape)

    def _places(self, anchors: torch.Tensor, sizes: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Return the centre and the stride (P, 3) of each anchor (P, 4)."""
        levels = level_numbers(sizes, self.prior_generator.num_base_priors, anchors.device)
        strides = anchors.new_tensor([stride[0] for stride in self.prior_generator.strides])
        return torch.cat([(anchors[:, :2] + anchors[:, 2:]) / 2, strides[levels][:, None]], dim=1)

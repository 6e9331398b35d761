"""ATSS: a threshold for each object decides which anchors belong to it (Zhang et al., arXiv:1912.02424).

Shapes: B images, C channels of the features, F of the towers, H rows, W columns, A anchors at each place, P anchors of
all levels, K' scores for each anchor, N anchors that belong to objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import Scale
from visuite.det.heads.anchor_head import AnchorHead
from visuite.det.heads.anchor_targets import by_level
from visuite.det.heads.dense import Cfg, DenseOutputs, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes, mean_over_ranks
from visuite.det.heads.towers import conv_tower, rare_classes
from visuite.det.registry import MODELS
from visuite.engine.structures import InstanceData

GROUP_NORM: Cfg = {"type": "GN", "num_groups": 32, "requires_grad": True}


@MODELS.register_module()
class ATSSHead(AnchorHead):
    """A tower for classes and one for boxes, and how central in its object an anchor stands.

    Names of parameters: cls_convs.i.conv, reg_convs.i.conv, atss_cls, atss_reg, atss_centerness, scales.i.scale.

    Args:
        num_classes: K.
        in_channels: C.
        pred_kernel_size: Of the last convolutions.
        stacked_convs: Convolutions in each tower.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        reg_decoded_bbox: The box loss compares boxes, not offsets.
        loss_centerness: Config or object.
        init_cfg: How weights are initialised.
        **kwargs: See `AnchorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        pred_kernel_size: int = 3,
        stacked_convs: int = 4,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = GROUP_NORM,
        reg_decoded_bbox: bool = True,
        loss_centerness: Cfg | nn.Module = {"type": "CrossEntropyLoss", "use_sigmoid": True},  # noqa: B006 (read only)
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        self.pred_kernel_size, self.stacked_convs = pred_kernel_size, stacked_convs
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg
        super().__init__(
            num_classes,
            in_channels,
            reg_decoded_bbox=reg_decoded_bbox,
            init_cfg=init_cfg or rare_classes("atss_cls"),
            **kwargs,
        )
        self.loss_centerness = MODELS.build(loss_centerness)

    def make_layers(self) -> None:
        """Make the towers and the last layers."""
        style = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        self.cls_convs = conv_tower(self.in_channels, self.feat_channels, self.stacked_convs, **style)
        self.reg_convs = conv_tower(self.in_channels, self.feat_channels, self.stacked_convs, **style)
        kernel, each = self.pred_kernel_size, self.num_base_priors
        last: dict[str, Any] = {"kernel_size": kernel, "padding": kernel // 2}
        self.atss_cls = nn.Conv2d(self.feat_channels, each * self.cls_out_channels, **last)
        self.atss_reg = nn.Conv2d(self.feat_channels, each * 4, **last)
        self.atss_centerness = nn.Conv2d(self.feat_channels, each, **last)
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.prior_generator.strides)

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C, H_l, W_l) to scores (B, A * K', ..), offsets (B, A * 4, ..), centralities (B, A, ..)."""
        maps = [self.forward_scaled(x, scale) for x, scale in zip(feats, self.scales, strict=True)]
        return tuple(list(one) for one in zip(*maps, strict=True))

    def forward_scaled(self, x: torch.Tensor, scale: nn.Module) -> tuple[torch.Tensor, ...]:
        """Turn the features (B, C, H, W) of one level into its scores, offsets and centralities."""
        cls_feat = reg_feat = x
        for conv in self.cls_convs:
            cls_feat = conv(cls_feat)
        for conv in self.reg_convs:
            reg_feat = conv(reg_feat)
        return self.atss_cls(cls_feat), scale(self.atss_reg(reg_feat)).float(), self.atss_centerness(reg_feat)

    def assign(self, priors: InstanceData, objects: InstanceData, ignored: InstanceData | None) -> Any:
        """Assign the priors of an image to its objects, level by level."""
        return by_level(self.assigner, self.prior_generator.num_levels)(priors, objects, ignored)

    def loss_by_feat(  # type: ignore[override]
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        centernesses: Maps,
        *,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox` and `loss_centerness`; boxes count the more the more central their anchors."""
        priors, _ = self.priors(cls_scores)
        sizes = map_sizes(cls_scores)
        targets = self.targets(priors, sizes, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore)
        scores = flatten_levels(cls_scores, self.cls_out_channels)
        written = flatten_levels(bbox_preds, 4)[targets.positive]
        central = flatten_levels(centernesses, 1)[targets.positive].squeeze(-1)
        anchors = priors.expand(len(scores), -1, -1)[targets.positive]
        truth = targets.boxes if self.reg_decoded_bbox else self.bbox_coder.decode(anchors, targets.boxes)
        centrality = box_centrality(anchors, truth)
        if self.reg_decoded_bbox:
            written = self.bbox_coder.decode(anchors, written)
        count = mean_over_ranks(targets.avg_factor, like=scores)
        labels, weights = targets.labels.flatten(), targets.label_weights.flatten()
        return {
            "loss_cls": self.loss_cls(scores.flatten(0, 1), labels, weights, avg_factor=count),
            "loss_bbox": self.loss_bbox(
                written, targets.boxes, centrality, avg_factor=mean_over_ranks(centrality.sum(), like=scores)
            ),
            "loss_centerness": self.loss_centerness(central, centrality, avg_factor=count),
        }

    def read(self, cls_scores: Maps, bbox_preds: Maps, centernesses: Maps) -> DenseOutputs:  # type: ignore[override]
        """Read scores, offsets and centralities; the last multiply the first once candidates are chosen."""
        outputs = super().read(cls_scores, bbox_preds)
        factors = flatten_levels(centernesses, 1).squeeze(-1).sigmoid()
        return DenseOutputs(outputs.scores, outputs.boxes, outputs.priors, outputs.level_sizes, factors)


def box_centrality(anchors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Return how central the centres of anchors (N, 4) stand in boxes (N, 4), from 0 at an edge to 1 (N,)."""
    centre = (anchors[:, :2] + anchors[:, 2:4]) / 2
    return centrality_of(torch.cat([centre - boxes[:, :2], boxes[:, 2:] - centre], dim=1))


def centrality_of(distances: torch.Tensor) -> torch.Tensor:
    """Return how central points are, given their distances (N, 4) to left, top, right and bottom (arXiv:1904.01355)."""
    pairs = torch.stack([distances[:, 0::2], distances[:, 1::2]], dim=1).clamp(min=0)  # (N, 2, 2): x, y
    return (pairs.amin(dim=2) / pairs.amax(dim=2).clamp(min=1e-6)).prod(dim=1).sqrt()

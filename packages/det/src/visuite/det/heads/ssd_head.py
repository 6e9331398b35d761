"""SSD's head: anchors of several shapes on each map (Liu et al., arXiv:1512.02325).

Shapes: B images, L levels, C_l channels of a level's features, H rows, W columns, A_l anchors at each place of a level,
P anchors of all levels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import ConvModule, DepthwiseSeparableConvModule
from visuite.cv.losses import smooth_l1_loss
from visuite.det.heads.anchor_head import AnchorHead
from visuite.det.heads.dense import Cfg, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes, mean_over_ranks
from visuite.det.registry import MODELS
from visuite.engine.structures import InstanceData


@MODELS.register_module()
class SSDHead(AnchorHead):
    """Own layers for each level, softmax scores, and the hardest background only.

    Names of parameters: cls_convs.l.i, reg_convs.l.i.

    Args:
        num_classes: K.
        in_channels: C_l of each level.
        stacked_convs: Convolutions before the last.
        feat_channels: Their channels.
        use_depthwise: They are depthwise separable, as in SSDLite (arXiv:1801.04381).
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        act_cfg: Config of their activations.
        anchor_generator: Config or object.
        bbox_coder: Config or object.
        init_cfg: How weights are initialised.
        **kwargs: See `AnchorHead`. `train_cfg` has `neg_pos_ratio`, how many background anchors count for each of an
            object, and `smoothl1_beta` too.
    """

    def __init__(
        self,
        num_classes: int = 80,
        in_channels: Sequence[int] = (512, 1024, 512, 256, 256, 256),
        *,
        stacked_convs: int = 0,
        feat_channels: int = 256,
        use_depthwise: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = None,
        anchor_generator: Cfg | Any = {  # noqa: B006 (read only, as the next)
            "type": "SSDAnchorGenerator",
            "scale_major": False,
            "input_size": 300,
            "strides": [8, 16, 32, 64, 100, 300],
            "ratios": [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
            "basesize_ratio_range": (0.1, 0.9),
        },
        bbox_coder: Cfg | Any = {"type": "DeltaXYWHBBoxCoder", "clip_border": True},  # noqa: B006
        init_cfg: Any = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform", "bias": 0},  # noqa: B006
        **kwargs: Any,
    ) -> None:
        self.stacked_convs, self.use_depthwise = stacked_convs, use_depthwise
        self.style: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        super().__init__(
            num_classes,
            tuple(in_channels),  # type: ignore[arg-type]
            feat_channels=feat_channels,
            anchor_generator=anchor_generator,
            bbox_coder=bbox_coder,
            loss_cls={"type": "CrossEntropyLoss", "use_sigmoid": False},
            init_cfg=init_cfg,
            **kwargs,
        )

    def make_layers(self) -> None:
        """Make the layers of each level."""
        self.cls_convs, self.reg_convs = nn.ModuleList(), nn.ModuleList()
        widths: Sequence[int] = self.in_channels  # type: ignore[assignment]
        for channels, anchors in zip(widths, self.prior_generator.num_base_priors, strict=True):
            self.cls_convs.append(self._branch(channels, anchors * self.cls_out_channels))
            self.reg_convs.append(self._branch(channels, anchors * 4))

    def _branch(self, channels: int, out_channels: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        conv = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        for _ in range(self.stacked_convs):
            layers.append(conv(channels, self.feat_channels, 3, padding=1, **self.style))
            channels = self.feat_channels
        if self.use_depthwise:
            layers.append(ConvModule(channels, channels, 3, padding=1, groups=channels, **self.style))
        size = 1 if self.use_depthwise else 3
        return nn.Sequential(*layers, nn.Conv2d(channels, out_channels, size, padding=size // 2))

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C_l, H_l, W_l) into scores (B, A_l * (K + 1), H_l, W_l) and offsets (B, A_l * 4, ...)."""
        scores = [conv(x) for conv, x in zip(self.cls_convs, feats, strict=True)]
        return scores, [conv(x) for conv, x in zip(self.reg_convs, feats, strict=True)]

    def loss_by_feat(
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        *,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, of objects and of each image's hardest background, and `loss_bbox`."""
        priors, _ = self.priors(cls_scores)
        sizes = map_sizes(cls_scores)
        targets = self.targets(priors, sizes, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore)
        scores = flatten_levels(cls_scores, self.cls_out_channels)
        cost = F.cross_entropy(scores.transpose(1, 2), targets.labels, reduction="none") * targets.label_weights
        background = (targets.labels == self.num_classes) & (targets.label_weights > 0)
        ratio = self.train_cfg.get("neg_pos_ratio", 3)
        hardest = []
        for row, none, found in zip(cost, background, targets.positive, strict=True):
            most = min(int(ratio * found.sum()), int(none.sum()))
            hardest.append(row[none].topk(most).values.sum())
        offsets = flatten_levels(bbox_preds, 4)[targets.positive]
        count = mean_over_ranks(targets.avg_factor, like=scores)
        box_cost = smooth_l1_loss(offsets, targets.boxes, beta=self.train_cfg.get("smoothl1_beta", 1.0))
        # Without objects there is no background either; a sum times 0 keeps the layers in the graph.
        return {
            "loss_cls": (cost[targets.positive].sum() + torch.stack(hardest).sum()) / count + scores.sum() * 0,
            "loss_bbox": box_cost.sum() / count,
        }

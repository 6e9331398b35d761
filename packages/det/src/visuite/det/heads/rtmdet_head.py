"""RTMDet's head: convolutions shared by all levels, each level with its own norms (Lyu et al., arXiv:2212.07784).

Shapes: B images, C channels of the features, F of the layers, H rows, W columns, P places of all levels, K classes, N
places that belong to objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule, DepthwiseSeparableConvModule
from visuite.det.heads.anchor_head import PSEUDO_SAMPLER
from visuite.det.heads.anchor_targets import anchor_targets
from visuite.det.heads.dense import Cfg, DenseHead, DenseOutputs, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes, mean_over_ranks, usable_priors
from visuite.det.heads.towers import prior_bias
from visuite.det.registry import MODELS, TASK_UTILS
from visuite.engine.structures import InstanceData


@MODELS.register_module()
class RTMDetSepBNHead(DenseHead):
    """Two stacks of convolutions; the score of a class is the overlap that its box will have.

    Names of parameters: cls_convs.l.i.conv, reg_convs.l.i.conv, rtm_cls.l, rtm_reg.l, rtm_obj.l.

    Args:
        num_classes: K.
        in_channels: C.
        stacked_convs: Convolutions in each stack.
        feat_channels: F.
        share_conv: Levels share the convolutions, not their norms.
        use_depthwise: Convolutions are depthwise separable.
        pred_kernel_size: Of the last convolutions.
        exp_on_reg: Distances are exponentials.
        with_objectness: Tell too whether there is any object, and multiply scores by it.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        act_cfg: Config of their activations.
        anchor_generator: Config or object; makes the places.
        bbox_coder: Config or object; writes boxes as distances.
        loss_cls: Config or object.
        loss_bbox: Config or object.
        train_cfg: `assigner`, perhaps `sampler`, `pos_weight`.
        test_cfg: See `DenseHead`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        stacked_convs: int = 2,
        feat_channels: int = 256,
        share_conv: bool = True,
        use_depthwise: bool = False,
        pred_kernel_size: int = 1,
        exp_on_reg: bool = False,
        with_objectness: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU"},  # noqa: B006
        anchor_generator: Cfg | Any = {"type": "MlvlPointGenerator", "offset": 0, "strides": [8, 16, 32]},  # noqa: B006
        bbox_coder: Cfg | Any = {"type": "DistancePointBBoxCoder"},  # noqa: B006
        loss_cls: Cfg | nn.Module = {"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0},  # noqa: B006
        loss_bbox: Cfg | nn.Module = {"type": "GIoULoss", "loss_weight": 2.0},  # noqa: B006
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = {"type": "Normal", "layer": "Conv2d", "std": 0.01},  # noqa: B006
    ) -> None:
        super().__init__(train_cfg=train_cfg, test_cfg=test_cfg, init_cfg=init_cfg)
        self.num_classes, self.in_channels = num_classes, in_channels
        self.cls_out_channels = num_classes
        self.exp_on_reg, self.with_objectness = exp_on_reg, with_objectness
        self.prior_generator = TASK_UTILS.build(anchor_generator)
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.loss_cls, self.loss_bbox = MODELS.build(loss_cls), MODELS.build(loss_bbox)
        if "assigner" in self.train_cfg:
            self.assigner = TASK_UTILS.build(self.train_cfg["assigner"])
            self.sampler = TASK_UTILS.build(self.train_cfg.get("sampler") or PSEUDO_SAMPLER)

        levels = self.prior_generator.num_levels
        kind = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        style: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}

        def stacks() -> nn.ModuleList:
            return conv_stacks(
                levels, in_channels, feat_channels, stacked_convs, kind=kind, style=style, share_conv=share_conv
            )

        def predictors(channels: int) -> nn.ModuleList:
            last: dict[str, Any] = {"kernel_size": pred_kernel_size, "padding": pred_kernel_size // 2}
            return nn.ModuleList(nn.Conv2d(feat_channels, channels, **last) for _ in range(levels))

        self.cls_convs, self.reg_convs = stacks(), stacks()
        self.rtm_cls, self.rtm_reg = predictors(num_classes), predictors(4)
        if with_objectness:
            self.rtm_obj = predictors(1)

    def init_weights(self) -> None:
        """Initialise the weights, with classes rare at the start."""
        super().init_weights()
        for layers in (self.rtm_cls, *([self.rtm_obj] if self.with_objectness else [])):
            for conv in layers:
                nn.init.constant_(conv.bias, prior_bias(0.01))  # type: ignore[arg-type]

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C, H_l, W_l) into scores (B, K, H_l, W_l) and distances in pixels (B, 4, H_l, W_l)."""
        scores, distances = [], []
        for level, (x, stride) in enumerate(zip(feats, self.prior_generator.strides, strict=True)):
            cls_feat = reg_feat = x
            cls_stack: Any = self.cls_convs[level]
            reg_stack: Any = self.reg_convs[level]
            for conv in cls_stack:
                cls_feat = conv(cls_feat)
            for conv in reg_stack:
                reg_feat = conv(reg_feat)
            score = self.rtm_cls[level](cls_feat)
            if self.with_objectness:
                both = score.sigmoid() * self.rtm_obj[level](reg_feat).sigmoid()
                score = torch.logit(both, eps=1e-5)
            distance = self.rtm_reg[level](reg_feat)
            scores.append(score)
            distances.append((distance.exp() if self.exp_on_reg else distance) * stride[0])
        return scores, distances

    def loss_by_feat(
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        *,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls` and `loss_bbox`; boxes count as much as they overlap their objects."""
        scores, distances = flatten_levels(cls_scores, self.num_classes), flatten_levels(bbox_preds, 4)
        priors = self._priors(cls_scores)
        boxes = self.bbox_coder.decode(priors.expand(len(scores), -1, -1), distances)
        targets = anchor_targets(
            priors,
            usable_priors(self.prior_generator, map_sizes(cls_scores), batch_img_metas, priors=priors),
            batch_gt_instances,
            batch_gt_instances_ignore,
            assign=self.assigner.assign,
            sample=self.sampler.sample,
            encode=None,
            num_classes=self.num_classes,
            pos_weight=self.train_cfg.get("pos_weight", -1),
            fields={"bboxes": boxes.detach(), "scores": scores.detach()},
        )
        quality = torch.zeros_like(targets.label_weights)
        quality[targets.positive] = targets.overlaps
        count = mean_over_ranks(targets.overlaps.sum(), like=scores)
        loss_cls = self.loss_cls(
            scores.flatten(0, 1),
            (targets.labels.flatten(), quality.flatten()),
            targets.label_weights.flatten(),
            avg_factor=1.0,
        )
        loss_bbox = self.loss_bbox(boxes[targets.positive], targets.boxes, targets.overlaps, avg_factor=1.0)
        return {"loss_cls": loss_cls / count, "loss_bbox": loss_bbox / count}

    def read(self, cls_scores: Maps, bbox_preds: Maps) -> DenseOutputs:
        """Read scores (B, K, H_l, W_l) and distances (B, 4, H_l, W_l)."""
        return DenseOutputs(
            flatten_levels(cls_scores, self.num_classes).sigmoid(),
            flatten_levels(bbox_preds, 4),
            self._priors(cls_scores),
            [h * w for h, w in map_sizes(cls_scores)],
        )

    def _priors(self, maps: Maps) -> torch.Tensor:
        """Return the place and the stride (P, 4), x, y, w and h, of each prediction."""
        return torch.cat(
            self.prior_generator.grid_priors(
                map_sizes(maps), dtype=torch.float32, device=maps[0].device, with_stride=True
            )
        )


def conv_stacks(
    levels: int,
    in_channels: int,
    channels: int,
    depth: int,
    *,
    kind: type[nn.Module],
    style: Cfg,
    share_conv: bool,
) -> nn.ModuleList:
    """Return a stack of 3x3 convolutions for each level.

    Args:
        levels: How many levels there are.
        in_channels: Channels of the features.
        channels: Channels of all that comes out.
        depth: Convolutions in a stack.
        kind: `ConvModule` or `DepthwiseSeparableConvModule`.
        style: Its `conv_cfg`, `norm_cfg` and `act_cfg`.
        share_conv: Levels share the convolutions, not their norms.
    """
    widths = [in_channels, *[channels] * depth]
    stacks = nn.ModuleList(
        nn.ModuleList(kind(widths[i], channels, 3, padding=1, **style) for i in range(depth)) for _ in range(levels)
    )
    return _sharing_convolutions(stacks) if share_conv else stacks


def _sharing_convolutions(stacks: nn.ModuleList) -> nn.ModuleList:
    """Let all levels use the convolutions of the first, with their own norms."""
    first: Any = stacks[0]
    for stack in list(stacks)[1:]:
        for own, shared in zip(stack, first, strict=True):  # type: ignore[call-overload]
            if isinstance(own, DepthwiseSeparableConvModule):
                own.depthwise_conv.conv = shared.depthwise_conv.conv
                own.pointwise_conv.conv = shared.pointwise_conv.conv
            else:
                own.conv = shared.conv
    return stacks

"""YOLOX's head: classes, boxes and objectness, decoupled, and each object takes the places that suit it best
(Ge et al., arXiv:2107.08430).

Shapes: B images, C channels of the features, F of the layers, H rows, W columns, P places of all levels, K classes, N
places that belong to objects.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import ConvModule, DepthwiseSeparableConvModule
from visuite.det.boxes import bbox2yolox, yolox2bbox
from visuite.det.heads.anchor_head import PSEUDO_SAMPLER
from visuite.det.heads.anchor_targets import AnchorTargets, anchor_targets
from visuite.det.heads.dense import Cfg, DenseHead, DenseOutputs, Features, Meta
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes, mean_over_ranks
from visuite.det.heads.towers import prior_bias
from visuite.det.registry import MODELS, TASK_UTILS
from visuite.engine.model import BaseModule
from visuite.engine.structures import InstanceData

SUMMED_BCE: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "sum", "loss_weight": 1.0}


class YOLOXLayers(BaseModule):
    """The layers of a head, by themselves or as a part of it: two stacks of convolutions for each level.

    Names of parameters: multi_level_cls_convs.l.i.conv, multi_level_reg_convs.l.i.conv, multi_level_conv_cls.l,
    multi_level_conv_reg.l, multi_level_conv_obj.l.
    """

    num_classes: int

    def make_layers(
        self,
        depth: int,
        *,
        widths: Sequence[tuple[int, int]],
        style: Cfg,
        conv_cfg: Cfg | None = None,
        use_depthwise: bool = False,
        dcn_on_last_conv: bool = False,
    ) -> None:
        """Make the layers; `num_classes` is known by then.

        Args:
            depth: Convolutions in each stack.
            widths: C and F of each level.
            style: `norm_cfg`, `act_cfg` and `bias` of the convolutions.
            conv_cfg: Their config.
            use_depthwise: They are depthwise separable.
            dcn_on_last_conv: The last one of each stack is deformable.
        """

        def stack(before: int, channels: int) -> nn.Sequential:
            kind = DepthwiseSeparableConvModule if use_depthwise else ConvModule
            configs = [conv_cfg] * depth
            if dcn_on_last_conv and depth:
                configs[-1] = {"type": "DCNv2"}
            edges = itertools.pairwise([before, *[channels] * depth])
            return nn.Sequential(
                *(kind(*edge, 3, padding=1, conv_cfg=cfg, **style) for edge, cfg in zip(edges, configs, strict=True))
            )

        def last(out_channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for _, channels in widths)

        self.multi_level_cls_convs = nn.ModuleList(stack(*pair) for pair in widths)
        self.multi_level_reg_convs = nn.ModuleList(stack(*pair) for pair in widths)
        self.multi_level_conv_cls = last(self.num_classes)
        self.multi_level_conv_reg = last(4)
        self.multi_level_conv_obj = last(1)

    def init_weights(self) -> None:
        """Initialise the weights, with objects and classes rare at the start."""
        super().init_weights()
        for layers in (self.multi_level_conv_cls, self.multi_level_conv_obj):
            for conv in layers:
                nn.init.constant_(conv.bias, prior_bias(0.01))  # type: ignore[arg-type]

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C, H_l, W_l) into classes (B, K, ...), boxes (B, 4, ...) and objectness (B, 1, ...)."""
        scores, boxes, objects = [], [], []
        for level, x in enumerate(feats):
            cls_feat, reg_feat = self.multi_level_cls_convs[level](x), self.multi_level_reg_convs[level](x)
            scores.append(self.multi_level_conv_cls[level](cls_feat))
            boxes.append(self.multi_level_conv_reg[level](reg_feat))
            objects.append(self.multi_level_conv_obj[level](reg_feat))
        return scores, boxes, objects


@dataclass(frozen=True)
class YOLOXRows:
    """What a batch of maps says.

    Attributes:
        priors: (P, 4), x, y and the stride twice.
        scores: Logits (B, P, K).
        boxes: (B, P, 4) in pixels.
        objects: Logits (B, P).
    """

    priors: torch.Tensor
    scores: torch.Tensor
    boxes: torch.Tensor
    objects: torch.Tensor


def simota_targets(
    rows: YOLOXRows,
    batch_gt_instances: Sequence[InstanceData],
    batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    *,
    assigner: Any,
    sampler: Any,
) -> AnchorTargets:
    """Give each object of each image the places that suit it best, by what is predicted there now.

    Args:
        rows: The predictions; the assigner sees the middle of each place.
        batch_gt_instances: Objects of each image.
        batch_gt_instances_ignore: Regions that do not count.
        assigner: SimOTA.
        sampler: Of what it finds.
    """
    priors, objects = rows.priors, rows.objects.detach()
    chances = (rows.scores.detach().sigmoid() * objects.sigmoid()[..., None]).sqrt()
    return anchor_targets(
        torch.cat([priors[:, :2] + priors[:, 2:] * 0.5, priors[:, 2:]], dim=1),
        torch.ones_like(objects, dtype=torch.bool),
        batch_gt_instances,
        batch_gt_instances_ignore,
        assign=assigner.assign,
        sample=sampler.sample,
        encode=None,
        num_classes=chances.shape[-1],
        fields={"bboxes": rows.boxes.detach(), "scores": chances},
    )


def yolox_losses(
    rows: YOLOXRows, targets: AnchorTargets, *, loss_cls: nn.Module, loss_bbox: nn.Module, loss_obj: nn.Module
) -> dict[str, torch.Tensor]:
    """Return `loss_cls`, `loss_bbox` and `loss_obj`: sums, still to be divided by the number of positive places.

    Args:
        rows: The predictions.
        targets: What each place is to say.
        loss_cls: Reduction `sum`, as the others; a class is learned as far as the box there overlaps the object.
        loss_bbox: Over boxes.
        loss_obj: Over all places.
    """
    positive = targets.positive
    classes = F.one_hot(targets.labels[positive], rows.scores.shape[-1]) * targets.overlaps[:, None]
    return {
        "loss_cls": loss_cls(rows.scores[positive], classes),
        "loss_bbox": loss_bbox(rows.boxes[positive], targets.boxes),
        "loss_obj": loss_obj(rows.objects.reshape(-1, 1), positive.reshape(-1, 1).to(rows.objects)),
    }


@MODELS.register_module()
class YOLOXHead(YOLOXLayers, DenseHead):
    """The layers, what they learn, and how they are read. Names of parameters: see `YOLOXLayers`.

    Args:
        num_classes: K.
        in_channels: C.
        feat_channels: F.
        stacked_convs: Convolutions in each stack.
        strides: Input pixels per place of each level.
        use_depthwise: Convolutions are depthwise separable.
        dcn_on_last_conv: The last convolution of each stack is deformable.
        conv_bias: `auto` (where there is no norm), or whether convolutions have a bias.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        act_cfg: Config of their activations.
        loss_cls: Config or object; reduction `sum`, as all four.
        loss_bbox: Config or object.
        loss_obj: Config or object.
        loss_l1: Config or object; counts while `use_l1` is set, as `YOLOXModeSwitchHook` does late in training.
        train_cfg: `assigner`, perhaps `sampler`.
        test_cfg: See `DenseHead`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        feat_channels: int = 256,
        stacked_convs: int = 2,
        strides: Sequence[int] = (8, 16, 32),
        use_depthwise: bool = False,
        dcn_on_last_conv: bool = False,
        conv_bias: bool | str = "auto",
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "Swish"},  # noqa: B006
        loss_cls: Cfg | nn.Module = SUMMED_BCE,
        loss_bbox: Cfg | nn.Module = {  # noqa: B006
            "type": "IoULoss",
            "mode": "square",
            "eps": 1e-16,
            "reduction": "sum",
            "loss_weight": 5.0,
        },
        loss_obj: Cfg | nn.Module = SUMMED_BCE,
        loss_l1: Cfg | nn.Module = {"type": "L1Loss", "reduction": "sum", "loss_weight": 1.0},  # noqa: B006
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        uniform = {"type": "Kaiming", "layer": "Conv2d", "a": math.sqrt(5), "distribution": "uniform"}
        uniform |= {"mode": "fan_in", "nonlinearity": "leaky_relu"}
        super().__init__(train_cfg=train_cfg, test_cfg=test_cfg, init_cfg=uniform if init_cfg is None else init_cfg)
        self.num_classes, self.in_channels = num_classes, in_channels
        self.cls_out_channels = num_classes
        self.use_l1 = False
        self.prior_generator = TASK_UTILS.build({"type": "MlvlPointGenerator", "strides": list(strides), "offset": 0})
        self.loss_cls, self.loss_bbox = MODELS.build(loss_cls), MODELS.build(loss_bbox)
        self.loss_obj, self.loss_l1 = MODELS.build(loss_obj), MODELS.build(loss_l1)
        if "assigner" in self.train_cfg:
            self.assigner = TASK_UTILS.build(self.train_cfg["assigner"])
            self.sampler = TASK_UTILS.build(self.train_cfg.get("sampler") or PSEUDO_SAMPLER)

        self.make_layers(
            stacked_convs,
            widths=[(in_channels, feat_channels)] * len(strides),
            style={"bias": conv_bias, "norm_cfg": norm_cfg, "act_cfg": act_cfg},
            conv_cfg=conv_cfg,
            use_depthwise=use_depthwise,
            dcn_on_last_conv=dcn_on_last_conv,
        )

    def loss_by_feat(
        self,
        cls_scores: Maps,
        bbox_preds: Maps,
        objectnesses: Maps,
        *,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox`, `loss_obj` and, while `use_l1` is set, `loss_l1`."""
        priors, written = self._priors(cls_scores), flatten_levels(bbox_preds, 4)
        rows = YOLOXRows(
            priors,
            flatten_levels(cls_scores, self.num_classes),
            self.decode_boxes(priors, written),
            flatten_levels(objectnesses, 1).squeeze(-1),
        )
        targets = simota_targets(
            rows, batch_gt_instances, batch_gt_instances_ignore, assigner=self.assigner, sampler=self.sampler
        )
        losses = yolox_losses(rows, targets, loss_cls=self.loss_cls, loss_bbox=self.loss_bbox, loss_obj=self.loss_obj)
        if self.use_l1:
            at = priors.expand(len(written), -1, -1)[targets.positive]
            codes = bbox2yolox(at[:, :2], targets.boxes, at[:, 2:])
            losses["loss_l1"] = self.loss_l1(written[targets.positive], codes)
        count = mean_over_ranks(targets.positive.sum(), like=written)
        return {name: loss / count for name, loss in losses.items()}

    def read(self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps) -> DenseOutputs:
        """Read classes, boxes and objectness; the last multiply the first."""
        return DenseOutputs(
            flatten_levels(cls_scores, self.num_classes).sigmoid(),
            flatten_levels(bbox_preds, 4),
            self._priors(cls_scores),
            [h * w for h, w in map_sizes(cls_scores)],
            flatten_levels(objectnesses, 1).squeeze(-1).sigmoid(),
        )

    def candidates(self, outputs: DenseOutputs, index: int, meta: Meta, cfg: Cfg) -> InstanceData:
        """Return the best class of each place, where it and objectness together reach `score_thr`."""
        assert outputs.factors is not None
        score, label = outputs.scores[index].max(dim=1)
        score = score * outputs.factors[index]
        place = (score >= cfg.get("score_thr", 0.0)).nonzero().squeeze(1)
        boxes = self.decode_boxes(outputs.priors[place], outputs.boxes[index, place])
        return InstanceData(bboxes=boxes, scores=score[place], labels=label[place])

    def decode_boxes(
        self, priors: torch.Tensor, boxes: torch.Tensor, max_shape: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return boxes (..., N, 4) of centres and logarithms of sizes (..., N, 4), in strides, at places (N, 4)."""
        return yolox2bbox(priors[..., :2], boxes, priors[..., 2:])

    def _priors(self, maps: Maps) -> torch.Tensor:
        """Return the place and the stride (P, 4), x, y, w and h, of each prediction."""
        return torch.cat(
            self.prior_generator.grid_priors(
                map_sizes(maps), dtype=torch.float32, device=maps[0].device, with_stride=True
            )
        )

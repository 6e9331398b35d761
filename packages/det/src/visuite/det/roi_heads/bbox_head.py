"""The class of a region, and the box of its object.

Shapes: B images, R regions, C channels, h and w the bins of a region, K classes, K' scores (K and the background, as
long as the loss asks for no other number), D boxes of a region: K, or 1 where boxes do not depend on the class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.cv.losses import accuracy
from visuite.cv.ops import full_precision
from visuite.det.heads.dense import rescale_boxes
from visuite.det.registry import MODELS, TASK_UTILS
from visuite.det.roi_heads.regions import multiclass_nms
from visuite.engine.model import BaseModule
from visuite.engine.structures import InstanceData

Cfg = Mapping[str, Any]


@MODELS.register_module(["BBoxHead", "ConvFCBBoxHead"])
class BBoxHead(BaseModule):
    """Convolutions and linear layers, shared by class and box or not, and a last layer for each.

    `Shared2FCBBoxHead` and `Shared4Conv1FCBBoxHead` are this head with other defaults.

    Names of parameters: shared_convs.i.conv, shared_fcs.i, cls_convs.i.conv, cls_fcs.i, reg_convs.i.conv, reg_fcs.i,
    fc_cls, fc_reg.

    Args:
        in_channels: C.
        num_classes: K.
        num_shared_convs: 3x3 convolutions on the way of both.
        num_shared_fcs: Linear layers behind them.
        num_cls_convs: Convolutions on the way of the class alone.
        num_cls_fcs: Linear layers there.
        num_reg_convs: Convolutions on the way of the box alone.
        num_reg_fcs: Linear layers there.
        conv_out_channels: Channels of the convolutions.
        fc_out_channels: Features of the linear layers.
        with_avg_pool: Pool the bins before the first linear layer.
        with_cls: Tell the class.
        with_reg: Tell the box.
        roi_feat_size: h = w, or (h, w).
        bbox_coder: Config or object.
        reg_class_agnostic: One box for each region, not one for each class.
        reg_decoded_bbox: The box loss compares boxes, not offsets: for losses of overlap.
        reg_predictor_cfg: Config of the last layer for boxes.
        cls_predictor_cfg: Config of the last layer for classes.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of their norms.
        loss_cls: Config or object.
        loss_bbox: Config or object.
        train_cfg: `pos_weight`: the weight of regions with an object; 1 if not positive.
        test_cfg: `score_thr`, `nms`, `max_per_img`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: neither class nor box is to be told.
    """

    def __init__(
        self,
        in_channels: int = 256,
        num_classes: int = 80,
        *,
        num_shared_convs: int = 0,
        num_shared_fcs: int = 0,
        num_cls_convs: int = 0,
        num_cls_fcs: int = 0,
        num_reg_convs: int = 0,
        num_reg_fcs: int = 0,
        conv_out_channels: int = 256,
        fc_out_channels: int = 1024,
        with_avg_pool: bool = False,
        with_cls: bool = True,
        with_reg: bool = True,
        roi_feat_size: int | tuple[int, int] = 7,
        bbox_coder: Cfg | Any = {  # noqa: B006 (read only, as the next)
            "type": "DeltaXYWHBBoxCoder",
            "clip_border": True,
            "target_means": [0.0, 0.0, 0.0, 0.0],
            "target_stds": [0.1, 0.1, 0.2, 0.2],
        },
        reg_class_agnostic: bool = False,
        reg_decoded_bbox: bool = False,
        reg_predictor_cfg: Cfg = {"type": "Linear"},  # noqa: B006
        cls_predictor_cfg: Cfg = {"type": "Linear"},  # noqa: B006
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        loss_cls: Cfg | nn.Module = {"type": "CrossEntropyLoss"},  # noqa: B006
        loss_bbox: Cfg | nn.Module = {"type": "SmoothL1Loss", "beta": 1.0},  # noqa: B006
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg if init_cfg is not None else _initial(with_cls=with_cls, with_reg=with_reg))
        if not (with_cls or with_reg):
            raise ValueError("a box head tells the class, the box or both: with_cls and with_reg are False")
        self.in_channels, self.num_classes = in_channels, num_classes
        self.with_avg_pool, self.with_cls, self.with_reg = with_avg_pool, with_cls, with_reg
        self.reg_class_agnostic, self.reg_decoded_bbox = reg_class_agnostic, reg_decoded_bbox
        self.train_cfg, self.test_cfg = dict(train_cfg or {}), dict(test_cfg or {})
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.loss_cls, self.loss_bbox = MODELS.build(loss_cls), MODELS.build(loss_bbox)

        bins = math.prod((roi_feat_size, roi_feat_size) if isinstance(roi_feat_size, int) else roi_feat_size)
        style = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        widths = _Widths(1 if with_avg_pool else bins, conv_out_channels, fc_out_channels)
        shared = _Way(in_channels, flat=False)
        self.shared_convs, self.shared_fcs, shared = widths.layers(shared, num_shared_convs, num_shared_fcs, style)
        self.cls_convs, self.cls_fcs, cls_way = widths.layers(shared, num_cls_convs, num_cls_fcs, style)
        self.reg_convs, self.reg_fcs, reg_way = widths.layers(shared, num_reg_convs, num_reg_fcs, style)
        if with_cls:
            scores = num_classes + 1
            if getattr(self.loss_cls, "custom_cls_channels", False):
                scores = self.loss_cls.get_cls_channels(num_classes)
            self.fc_cls = _predictor(cls_predictor_cfg, widths.flat(cls_way), scores)
        if with_reg:
            boxes = 1 if reg_class_agnostic else num_classes
            self.fc_reg = _predictor(reg_predictor_cfg, widths.flat(reg_way), 4 * boxes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Turn the features (R, C, h, w) of regions into scores (R, K') and written boxes (R, D * 4)."""
        x = self._through(x, self.shared_convs, self.shared_fcs)
        cls_score = bbox_pred = None
        if self.with_cls:
            cls_score = self.fc_cls(self._flat(self._through(x, self.cls_convs, self.cls_fcs)))
        if self.with_reg:
            bbox_pred = self.fc_reg(self._flat(self._through(x, self.reg_convs, self.reg_fcs)))
        return cls_score, bbox_pred

    def _through(self, x: torch.Tensor, convs: nn.ModuleList, fcs: nn.ModuleList) -> torch.Tensor:
        for conv in convs:
            x = conv(x)
        for fc in fcs:
            x = fc(self._flat(x)).relu()
        return x

    def _flat(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim > 2 and self.with_avg_pool:
            x = x.mean(dim=(2, 3))
        return x.flatten(1)

    # ------------------------------------------------------------------ learning

    def get_targets(
        self, sampling_results: Sequence[Any], rcnn_train_cfg: Cfg | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what the sampled regions of all images must say.

        Args:
            sampling_results: One for each image; its regions with an object stand before those without.
            rcnn_train_cfg: `pos_weight`; by default the head's own settings.

        Returns:
            labels (R,), K being background; their weights (R,); and the boxes (N, 4) of the N regions with an object,
            written as the box loss wants them.
        """
        pos_weight = (rcnn_train_cfg or self.train_cfg).get("pos_weight", -1)
        labels, weights, boxes = [], [], []
        for one in sampling_results:
            found, none = len(one.pos_priors), len(one.neg_priors)
            labels.append(nn.functional.pad(one.pos_gt_labels, (0, none), value=self.num_classes))
            weight = one.pos_priors.new_ones(found + none)
            weight[:found] = pos_weight if pos_weight > 0 else 1.0
            weights.append(weight)
            box = one.pos_gt_bboxes
            boxes.append(box if self.reg_decoded_bbox else self.bbox_coder.encode(one.pos_priors, box))
        return torch.cat(labels), torch.cat(weights), torch.cat(boxes)

    def loss_and_target(
        self,
        cls_score: torch.Tensor | None,
        bbox_pred: torch.Tensor | None,
        rois: torch.Tensor,
        sampling_results: Sequence[Any],
        rcnn_train_cfg: Cfg | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `acc` and `loss_bbox` of the sampled regions.

        Args:
            cls_score: (R, K').
            bbox_pred: (R, D * 4).
            rois: (R, 5).
            sampling_results: One for each image.
            rcnn_train_cfg: See `get_targets`.
        """
        labels, weights, boxes = self.get_targets(sampling_results, rcnn_train_cfg)
        losses: dict[str, torch.Tensor] = {}
        if cls_score is not None:
            losses.update(self._class_losses(full_precision(cls_score), labels, weights))
        if bbox_pred is not None:
            found = (labels < self.num_classes).nonzero().squeeze(1)
            written = self._of_class(full_precision(bbox_pred)[found], labels[found])
            if self.reg_decoded_bbox:
                written = self.bbox_coder.decode(rois[found, 1:], written)
            losses["loss_bbox"] = self.loss_bbox(written, boxes, avg_factor=max(len(labels), 1))
        return losses

    def _class_losses(
        self, cls_score: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        count = (weights > 0).sum().clamp(min=1).float()
        loss = self.loss_cls(cls_score, labels, weights, avg_factor=count)
        losses = loss if isinstance(loss, dict) else {"loss_cls": loss}
        if getattr(self.loss_cls, "custom_activation", False):
            losses.update(self.loss_cls.get_accuracy(cls_score.detach(), labels))
        elif len(labels):
            losses["acc"] = accuracy(cls_score.detach(), labels)
        return losses

    def _of_class(self, boxes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the written box (N, 4) of each region's class, of (N, D * 4)."""
        if self.reg_class_agnostic:
            return boxes
        return boxes.view(len(boxes), self.num_classes, 4)[torch.arange(len(boxes), device=boxes.device), labels]

    # ------------------------------------------------------------------ predicting

    def scores_of(self, cls_score: torch.Tensor) -> torch.Tensor:
        """Return the scores (R, K + 1), those of the background last, of (R, K') as they come out of `forward`."""
        if getattr(self.loss_cls, "custom_activation", False):
            return self.loss_cls.get_activation(cls_score)
        return full_precision(cls_score).softmax(dim=-1)

    def predict_by_feat(
        self,
        rois: torch.Tensor,
        scores: torch.Tensor,
        bbox_pred: torch.Tensor | None,
        meta: Mapping[str, Any],
        *,
        cfg: Cfg | None = None,
        rescale: bool = False,
    ) -> InstanceData:
        """Return the objects of an image: `bboxes` (N, 4), `scores` (N,) and `labels` (N,), the best first.

        Args:
            rois: Its regions (R, 5).
            scores: (R, K + 1).
            bbox_pred: (R, D * 4), or None: the regions themselves are the boxes.
            meta: `img_shape`, and with `rescale` `scale_factor`.
            cfg: `score_thr`, `nms` and `max_per_img` in place of `test_cfg`. Without `nms`, all regions are returned,
                with `bboxes` (R, D * 4) and `scores` (R, K + 1).
            rescale: Give boxes in the size of the image file.
        """
        settings = self.test_cfg if cfg is None else cfg
        h, w = meta["img_shape"][:2]
        if bbox_pred is None:
            boxes = torch.stack([rois[:, 1::2].clamp(0, w), rois[:, 2::2].clamp(0, h)], dim=-1).flatten(1)
        else:
            written = full_precision(bbox_pred).unflatten(1, (-1, 4))
            boxes = self.bbox_coder.decode(rois[:, None, 1:].expand_as(written), written, max_shape=(h, w)).flatten(1)
        if rescale:
            boxes = rescale_boxes(boxes.view(-1, 4), meta).view_as(boxes)
        if settings.get("nms") is None:
            return InstanceData(bboxes=boxes, scores=scores)
        found, _ = multiclass_nms(
            boxes,
            scores[:, : self.num_classes],
            score_thr=settings["score_thr"],
            nms_cfg=settings["nms"],
            max_num=settings.get("max_per_img", -1),
        )
        return found

    def regress_by_class(
        self, rois: torch.Tensor, label: torch.Tensor, bbox_pred: torch.Tensor, img_meta: Mapping[str, Any]
    ) -> torch.Tensor:
        """Return the boxes (R, 4) that regions of an image have, were they of these classes.

        Args:
            rois: (R, 4).
            label: (R,).
            bbox_pred: (R, D * 4).
            img_meta: `img_shape`, that boxes are clipped to.
        """
        written = self._of_class(full_precision(bbox_pred), label)
        return self.bbox_coder.decode(rois, written, max_shape=img_meta["img_shape"])

    def refine_bboxes(
        self,
        sampling_results: Sequence[Any],
        cls_score: torch.Tensor,
        bbox_pred: torch.Tensor,
        batch_img_metas: Sequence[Mapping[str, Any]],
    ) -> list[InstanceData]:
        """Return the sampled regions of each image, moved as the head says; those that were objects themselves go.

        A region is moved by the box of its true class, or, if it has none, of the class with the best score.

        Args:
            sampling_results: One for each image.
            cls_score: (R, K').
            bbox_pred: (R, D * 4).
            batch_img_metas: `img_shape` of each image.
        """
        guessed = self.scores_of(cls_score)[:, : self.num_classes].argmax(dim=1)
        counts = [len(one.priors) for one in sampling_results]
        parts = zip(sampling_results, guessed.split(counts), bbox_pred.split(counts), batch_img_metas, strict=True)
        refined = []
        for one, label, written, meta in parts:
            known = one.pos_gt_labels
            label = torch.cat([known, label[len(known) :]])
            boxes = self.regress_by_class(one.priors, label, written, meta)
            proposed = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
            proposed[: len(known)] = one.pos_is_gt == 0
            refined.append(InstanceData(bboxes=boxes[proposed].detach()))
        return refined


class _Way(NamedTuple):
    """How far a branch has come: its channels, and whether the bins are gone."""

    channels: int
    flat: bool


class _Widths:
    """How wide layers are."""

    def __init__(self, bins: int, conv_channels: int, fc_channels: int) -> None:
        self.bins, self.conv_channels, self.fc_channels = bins, conv_channels, fc_channels

    def flat(self, way: _Way) -> int:
        """Return how many features the next linear layer sees."""
        return way.channels if way.flat else way.channels * self.bins

    def layers(
        self, way: _Way, convs: int, fcs: int, style: Mapping[str, Any]
    ) -> tuple[nn.ModuleList, nn.ModuleList, _Way]:
        """Make convolutions and linear layers that go on from a way."""
        made, linear = nn.ModuleList(), nn.ModuleList()
        for _ in range(convs):
            made.append(ConvModule(way.channels, self.conv_channels, 3, padding=1, **style))
            way = _Way(self.conv_channels, flat=False)
        for _ in range(fcs):
            linear.append(nn.Linear(self.flat(way), self.fc_channels))
            way = _Way(self.fc_channels, flat=True)
        return made, linear, way


def _predictor(cfg: Cfg, in_features: int, out_features: int) -> nn.Module:
    """Build a last layer: a plain `Linear`, or one that is registered."""
    if cfg.get("type") == "Linear":
        return nn.Linear(in_features, out_features)
    return MODELS.build({**cfg, "in_features": in_features, "out_features": out_features})


def _initial(*, with_cls: bool, with_reg: bool) -> list[dict[str, Any]]:
    """Small last layers, and Xavier's spread in the linear ones before them."""
    wishes: list[dict[str, Any]] = []
    if with_cls:
        wishes.append({"type": "Normal", "std": 0.01, "override": {"name": "fc_cls"}})
    if with_reg:
        wishes.append({"type": "Normal", "std": 0.001, "override": {"name": "fc_reg"}})
    branches = [{"name": name} for name in ("shared_fcs", "cls_fcs", "reg_fcs")]
    return [*wishes, {"type": "Xavier", "distribution": "uniform", "override": branches}]


MODELS.register_defaults(BBoxHead, "Shared2FCBBoxHead", num_shared_fcs=2)
MODELS.register_defaults(BBoxHead, "Shared4Conv1FCBBoxHead", num_shared_convs=4, num_shared_fcs=1)

"""What heads for queries share: each object is matched to one query, behind every layer of a decoder.

Shapes: D layers, B images, Q queries, K classes, K' scores (K, and one for none unless they are sigmoids), N queries
that are matched, C channels. Boxes of queries are `cxcywh`, in parts of the image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.ops import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh, full_precision
from visuite.det.heads.dense import Cfg, Meta, rescale_boxes
from visuite.det.heads.levels import mean_over_ranks
from visuite.det.registry import MODELS, TASK_UTILS
from visuite.det.structures import DetDataSample, unpack_gt_instances
from visuite.engine.model import BaseModule
from visuite.engine.structures import InstanceData


class QueryHead(BaseModule):
    """Tokens to losses and objects; a head writes `forward`, which returns scores and boxes of all layers.

    Args:
        num_classes: K.
        embed_dims: C.
        loss_cls: Config or object. `bg_cls_weight` in the config is the weight of none, beside `class_weight`, one
            number for all classes.
        loss_bbox: Config or object, of `cxcywh` in parts of the image.
        loss_iou: Config or object, of `xyxy` in pixels.
        sync_cls_avg_factor: Average how many queries count for classes over the ranks.
        train_cfg: `assigner`.
        test_cfg: `max_per_img`.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        num_classes: int,
        embed_dims: int = 256,
        *,
        loss_cls: Cfg | nn.Module,
        loss_bbox: Cfg | nn.Module = {"type": "L1Loss", "loss_weight": 5.0},  # noqa: B006 (read only, as the next)
        loss_iou: Cfg | nn.Module = {"type": "GIoULoss", "loss_weight": 2.0},  # noqa: B006
        sync_cls_avg_factor: bool = False,
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes, self.embed_dims = num_classes, embed_dims
        self.sync_cls_avg_factor = sync_cls_avg_factor
        self.train_cfg, self.test_cfg = dict(train_cfg or {}), dict(test_cfg or {})
        self.bg_cls_weight = 0.0
        if isinstance(loss_cls, Mapping):
            loss_cls, self.bg_cls_weight = _with_background(loss_cls, num_classes)
        self.loss_cls = MODELS.build(loss_cls)
        self.loss_bbox, self.loss_iou = MODELS.build(loss_bbox), MODELS.build(loss_iou)
        self.use_sigmoid_cls = bool(getattr(self.loss_cls, "use_sigmoid", False))
        self.cls_out_channels = num_classes + (not self.use_sigmoid_cls)
        if "assigner" in self.train_cfg:
            self.assigner = TASK_UTILS.build(self.train_cfg["assigner"])

    @abstractmethod
    def forward(self, hidden_states: torch.Tensor, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (D, B, Q, K') and boxes (D, B, Q, 4) of tokens (D, B, Q, C)."""

    def loss(
        self, hidden_states: torch.Tensor, *args: Any, batch_data_samples: Sequence[DetDataSample]
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox` and `loss_iou` of the last layer, and of the others `d0.loss_cls`..."""
        objects, _, metas = unpack_gt_instances(batch_data_samples)
        layers = zip(*self(hidden_states, *args), strict=True)
        every = [self.losses_of(scores, boxes, objects, metas) for scores, boxes in layers]
        earlier = {f"d{i}.{name}": value for i, losses in enumerate(every[:-1]) for name, value in losses.items()}
        return every[-1] | earlier

    def losses_of(
        self,
        cls_scores: torch.Tensor,
        bbox_preds: torch.Tensor,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[Meta],
    ) -> dict[str, torch.Tensor]:
        """Return the losses of one layer.

        Args:
            cls_scores: (B, Q, K').
            bbox_preds: (B, Q, 4).
            batch_gt_instances: `bboxes` (G, 4) and `labels` (G,) of each image.
            batch_img_metas: `img_shape` of each image.
        """
        cls_scores, bbox_preds = full_precision(cls_scores), full_precision(bbox_preds)
        sides = bbox_preds.new_tensor([_sides(meta) for meta in batch_img_metas])[:, None]  # (B, 1, 4)
        in_pixels = bbox_cxcywh_to_xyxy(bbox_preds) * sides
        labels = torch.full(cls_scores.shape[:2], self.num_classes, device=cls_scores.device)
        truth = []
        for index, (objects, meta) in enumerate(zip(batch_gt_instances, batch_img_metas, strict=True)):
            queries = InstanceData(scores=cls_scores[index].detach(), bboxes=in_pixels[index].detach())
            assigned = self.assigner.assign(queries, objects, img_meta=meta)
            places = (assigned.gt_inds > 0).nonzero().squeeze(1)
            chosen = assigned.gt_inds[places] - 1
            labels[index, places] = objects.labels[chosen]
            truth.append(objects.bboxes[chosen])
        positive, boxes = labels < self.num_classes, torch.cat(truth)
        matched = positive.sum()
        counted = matched + self.bg_cls_weight * (labels.numel() - matched)
        count = mean_over_ranks(counted, like=cls_scores) if self.sync_cls_avg_factor else counted.clamp(min=1)
        share = mean_over_ranks(matched, like=cls_scores)
        normal = bbox_xyxy_to_cxcywh(boxes / sides.expand(-1, labels.shape[1], -1)[positive])
        return {
            "loss_cls": self.loss_cls(cls_scores.flatten(0, 1), labels.flatten(), avg_factor=count),
            "loss_bbox": self.loss_bbox(bbox_preds[positive], normal, avg_factor=share),
            "loss_iou": self.loss_iou(in_pixels[positive], boxes, avg_factor=share),
        }

    @torch.no_grad()
    def predict(
        self,
        hidden_states: torch.Tensor,
        *args: Any,
        batch_data_samples: Sequence[DetDataSample],
        rescale: bool = True,
    ) -> list[InstanceData]:
        """Return the objects of each image that the last layer tells, the best first.

        Args:
            hidden_states: (D, B, Q, C).
            *args: As of `forward`.
            batch_data_samples: Their `img_shape` and `scale_factor` are used.
            rescale: Give boxes in the size of the image file.
        """
        scores, boxes = self(hidden_states, *args)
        parts = zip(scores[-1], boxes[-1], (sample.metainfo for sample in batch_data_samples), strict=True)
        return [self._objects(*part, rescale=rescale) for part in parts]

    def _objects(self, logits: torch.Tensor, boxes: torch.Tensor, meta: Meta, *, rescale: bool) -> InstanceData:
        logits, boxes = full_precision(logits), full_precision(boxes)
        most = self.test_cfg.get("max_per_img", len(logits))
        if self.use_sigmoid_cls:  # a query may be several objects
            scores, place = logits.sigmoid().flatten().topk(min(most, logits.numel()))
            query, label = place // self.num_classes, place % self.num_classes
        else:
            best, labels = logits.softmax(dim=-1)[:, :-1].max(dim=-1)
            scores, query = best.topk(min(most, len(best)))
            label = labels[query]
        sides = boxes.new_tensor(_sides(meta))
        found = torch.minimum((bbox_cxcywh_to_xyxy(boxes[query]) * sides).clamp(min=0), sides)
        return InstanceData(bboxes=rescale_boxes(found, meta) if rescale else found, scores=scores, labels=label)


def _sides(meta: Meta) -> tuple[int, int, int, int]:
    """Return w, h, w, h of an image."""
    h, w = meta["img_shape"][:2]
    return w, h, w, h


def _with_background(cfg: Cfg, num_classes: int) -> tuple[dict[str, Any], float]:
    """Return the config of a class loss with a weight for each class and for none, and the latter."""
    cfg = dict(cfg)
    none, weight = cfg.pop("bg_cls_weight", None), cfg.get("class_weight")
    if none is None and isinstance(weight, (int, float)):
        none = weight
    if none is not None:
        cfg["class_weight"] = [float(weight if weight is not None else 1.0)] * num_classes + [float(none)]
    return cfg, float(none or 0.0)

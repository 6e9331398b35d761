"""What heads over points share: who assigns, what comes of it, and distances as distributions.

Shapes: B images, P points of all levels, K classes, R steps of a distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from visuite.det.heads.dense import Cfg, DenseOutputs
from visuite.det.heads.levels import Maps, flatten_levels, map_sizes, mean_over_ranks
from visuite.engine.logging import MessageHub
from visuite.yolo.heads.dense import YOLODense, images_of_all
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.registry import MODELS, TASK_UTILS

#: A point in the middle of each place.
POINTS: Cfg = {"type": "det.MlvlPointGenerator", "offset": 0.5, "strides": [8, 16, 32]}
CODER: Cfg = {"type": "DistancePointBBoxCoder"}
LOSS_CLS: Cfg = {
    "type": "VarifocalLoss",
    "use_sigmoid": True,
    "alpha": 0.75,
    "gamma": 2.0,
    "iou_weighted": True,
    "reduction": "sum",
    "loss_weight": 1.0,
}
LOSS_BBOX: Cfg = {
    "type": "IoULoss",
    "iou_mode": "giou",
    "bbox_format": "xyxy",
    "reduction": "mean",
    "loss_weight": 2.5,
    "return_iou": False,
}
LOSS_DFL: Cfg = {"type": "DistributionFocalLoss", "reduction": "mean", "loss_weight": 0.125}


@dataclass(frozen=True)
class PointTargets:
    """What each point is to say.

    Attributes:
        owners: (B, P), 0 or 1 + the number of the object.
        labels: (B, P), K for background.
        boxes: (B, P, 4).
        scores: (B, P, K), how well each positive point does its class; 0 elsewhere.
        positive: (B, P) bool.
    """

    owners: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor
    scores: torch.Tensor
    positive: torch.Tensor


class PointAssigners:
    """The assigner, and perhaps another one for the first epochs.

    Args:
        train_cfg: `assigner`; `initial_assigner` and `initial_epoch`, the epoch from which on it is not used.
    """

    def __init__(self, train_cfg: Mapping[str, Any]) -> None:
        self.initial_epoch: int = train_cfg.get("initial_epoch", 0)
        self.initial = TASK_UTILS.build(train_cfg["initial_assigner"]) if "initial_assigner" in train_cfg else None
        self.main = TASK_UTILS.build(train_cfg["assigner"]) if "assigner" in train_cfg else None

    @property
    def current(self) -> Any:
        """The assigner of this epoch.

        Raises:
            ValueError: a head without `train_cfg` is asked for losses.
        """
        if self.initial is not None and (MessageHub.get_current_instance().get_info("epoch") or 0) < self.initial_epoch:
            return self.initial
        if self.main is None:
            raise ValueError("a head needs train_cfg=dict(assigner=...) of its detector to have losses")
        return self.main

    @torch.no_grad()
    def assign(
        self, boxes: torch.Tensor, scores: torch.Tensor, priors: torch.Tensor, truth: BatchTruth
    ) -> PointTargets:
        """Return the targets of boxes (B, P, 4) and scores (B, P, K) at places (P, 4)."""
        labels, valid = truth.labels[..., None], truth.valid[..., None].float()
        found = self.current(boxes.detach(), scores.detach(), priors, labels, truth.boxes, valid)
        return PointTargets(
            found["assigned_gt_inds"],
            found["assigned_labels"],
            found["assigned_bboxes"],
            found["assigned_scores"],
            found["fg_mask_pre_prior"].bool(),
        )


class PointDense(YOLODense):
    """Points that say classes and the distances of the edges, straight or as distributions (GFL, Li et al.,
    arXiv:2006.04388).

    All losses are summed up, points weighing what their scores shall be, and divided by the sum of those scores; the
    losses' own reductions have no effect.

    Args:
        head_module: Config or object. Its `num_steps` is R, its maps are classes (B, K, ...) and distances in strides
            (B, 4 * R, ...).
        prior_generator: Where points stand.
        bbox_coder: Distances in strides to boxes.
        loss_cls: Config or object, over scores (B * P, K).
        loss_bbox: Config or object, over boxes in strides.
        loss_dfl: Config or object; counts where R is more than 1.
        train_cfg: See `YOLODense`.
        test_cfg: See `YOLODense`.
        init_cfg: How weights are initialised.
    """

    #: The assigner takes scores before the sigmoid.
    assigns_by_logits: ClassVar[bool] = False
    #: Losses are multiplied by the images of all processes.
    times_images: ClassVar[bool] = False
    #: The sum that losses are divided by is at least this; it is 1 where there is nothing to learn.
    least_total: ClassVar[float] = 1.0

    def __init__(
        self,
        head_module: Any,
        *,
        prior_generator: Any = POINTS,
        bbox_coder: Any = CODER,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        loss_dfl: Any = LOSS_DFL,
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
        self.num_steps: int = self.head_module.num_steps
        self.loss_cls, self.loss_bbox, self.loss_dfl = (MODELS.build(one) for one in (loss_cls, loss_bbox, loss_dfl))
        self.assigners = PointAssigners(self.train_cfg)

    def loss_by_feat(self, cls_scores: Maps, bbox_preds: Maps, *, truth: BatchTruth) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_bbox` and, where R is more than 1, `loss_dfl`."""
        return self.losses_and_targets(cls_scores, bbox_preds, truth)[0]

    def losses_and_targets(
        self, cls_scores: Maps, bbox_preds: Maps, truth: BatchTruth
    ) -> tuple[dict[str, torch.Tensor], PointTargets]:
        """Return the losses of classes and boxes, and what comes of the assignment."""
        scores, written = self._rows(cls_scores, bbox_preds)
        priors = self.places(cls_scores)
        boxes = self.decode_boxes(priors, self._distances(written))
        targets = self.assigners.assign(boxes, scores if self.assigns_by_logits else scores.sigmoid(), priors, truth)
        flat, wanted_scores = scores.flatten(0, 1), targets.scores.flatten(0, 1)
        losses = {"loss_cls": self.loss_cls(flat, wanted_scores, reduction_override="sum")}

        image, place = targets.positive.nonzero(as_tuple=True)
        weight = targets.scores[image, place].sum(dim=-1)
        stride = priors[place, 2:]
        found, wanted = (one[image, place] / stride.repeat(1, 2) for one in (boxes, targets.boxes))
        losses["loss_bbox"] = self.loss_bbox(found, wanted, weight=weight, reduction_override="sum")
        if self.num_steps > 1:
            sides = self.bbox_coder.encode(priors[place, :2] / stride, wanted, max_dis=self.num_steps - 1, eps=0.01)
            losses["loss_dfl"] = self.loss_dfl(
                self._distributions(bbox_preds)[image, place].reshape(-1, self.num_steps),
                sides.reshape(-1),
                weight=weight.repeat_interleave(4),
                reduction_override="sum",
            )
        total = mean_over_ranks(targets.scores.sum(), like=scores, least=self.least_total)
        total = torch.where(total > 0, total, 1)
        factor = images_of_all(len(scores)) / total if self.times_images else 1 / total
        return {name: loss * factor for name, loss in losses.items()}, targets

    def read(self, cls_scores: Maps, bbox_preds: Maps) -> DenseOutputs:
        """Read classes and distances in strides."""
        scores, written = self._rows(cls_scores, bbox_preds)
        sizes = [h * w for h, w in map_sizes(cls_scores)]
        return DenseOutputs(scores.sigmoid(), self._distances(written), self.places(cls_scores), sizes)

    def decode_boxes(
        self, priors: torch.Tensor, boxes: torch.Tensor, max_shape: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return boxes (..., N, 4) of distances (..., N, 4), in strides, from places (N, 4)."""
        return self.bbox_coder.decode(priors[..., :2], boxes, priors[..., 2])

    def _rows(self, cls_scores: Maps, bbox_preds: Maps) -> tuple[torch.Tensor, torch.Tensor]:
        """Return classes (B, P, K) and distances as they are told (B, P, 4 * R)."""
        return flatten_levels(cls_scores, self.num_classes), flatten_levels(bbox_preds, 4 * self.num_steps)

    def _distributions(self, bbox_preds: Maps) -> torch.Tensor:
        """Return the distributions (B, P, 4 * R) that `loss_dfl` sees."""
        return flatten_levels(bbox_preds, 4 * self.num_steps)

    def _distances(self, written: torch.Tensor) -> torch.Tensor:
        """Return distances in strides (..., 4)."""
        return written if self.num_steps == 1 else expected_steps(written, self.num_steps)


def expected_steps(logits: torch.Tensor, steps: int) -> torch.Tensor:
    """Return the means (..., 4) of four distributions (..., 4 * R) over 0, 1, ..., R - 1, R being `steps`."""
    chances = logits.unflatten(-1, (4, steps)).softmax(dim=-1)
    return chances @ torch.arange(steps, dtype=chances.dtype, device=chances.device)

"""What it costs to let a query stand for an object. Carion et al., DETR, arXiv:2005.12872.

Shapes: P queries, G objects of one image, C classes, N pixels or points of a mask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from visuite.cv.ops import bbox_overlaps, bbox_xyxy_to_cxcywh, full_precision
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

Meta = Mapping[str, Any]


class BaseMatchCost(ABC):
    """The base of costs.

    Args:
        weight: What the cost is multiplied by.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    @abstractmethod
    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return the cost (P, G) of each query with each object, without the weight."""

    def __call__(
        self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """Return the cost (P, G) of each query with each object.

        Args:
            pred_instances: What the queries say.
            gt_instances: The objects.
            img_meta: `img_shape`, where boxes are compared in parts of the image.
            kwargs: Without effect.
        """
        with torch.autocast(gt_instances.labels.device.type, enabled=False):  # sums over masks overflow half precision
            return self.cost(pred_instances, gt_instances, img_meta) * self.weight


@TASK_UTILS.register_module()
class BBoxL1Cost(BaseMatchCost):
    """The sum of the differences of `bboxes` (P, 4) and (G, 4), both in parts of the image.

    Args:
        box_format: Compare corners (`xyxy`) or centres and sizes (`xywh`).
        weight: What the cost is multiplied by.

    Raises:
        ValueError: another format.
    """

    def __init__(self, box_format: str = "xyxy", weight: float = 1.0) -> None:
        super().__init__(weight)
        if box_format not in ("xyxy", "xywh"):
            raise ValueError(f"box_format is 'xyxy' or 'xywh', not {box_format!r}")
        self.box_format = box_format

    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return the sum of differences (P, G).

        Raises:
            ValueError: `img_meta` has no `img_shape`.
        """
        if img_meta is None or "img_shape" not in img_meta:
            raise ValueError("BBoxL1Cost compares parts of the image: img_meta must have img_shape")
        predicted, boxes = full_precision(pred_instances.bboxes), full_precision(gt_instances.bboxes)
        if self.box_format == "xywh":
            predicted, boxes = bbox_xyxy_to_cxcywh(predicted), bbox_xyxy_to_cxcywh(boxes)
        h, w = img_meta["img_shape"][:2]
        sides = predicted.new_tensor((w, h, w, h))
        return torch.cdist(predicted / sides, boxes / sides, p=1)


@TASK_UTILS.register_module()
class IoUCost(BaseMatchCost):
    """The overlap of `bboxes` (P, 4) and (G, 4), negative.

    Args:
        iou_mode: Which overlap: `iou`, `giou`, `diou` or `ciou`.
        weight: What the cost is multiplied by.
    """

    def __init__(self, iou_mode: str = "giou", weight: float = 1.0) -> None:
        super().__init__(weight)
        self.iou_mode = iou_mode

    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return the negative overlaps (P, G)."""
        return -bbox_overlaps(pred_instances.bboxes, gt_instances.bboxes, self.iou_mode)


@TASK_UTILS.register_module()
class ClassificationCost(BaseMatchCost):
    """The probability of the object's class, negative: `scores` (P, C) before the softmax, `labels` (G,).

    Args:
        weight: What the cost is multiplied by.
    """

    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return the negative probabilities (P, G)."""
        return -full_precision(pred_instances.scores).softmax(dim=-1)[:, gt_instances.labels]


@TASK_UTILS.register_module()
class FocalLossCost(BaseMatchCost):
    """How much more focal loss the object's class costs as target than as none. Zhu et al., Deformable DETR,
    arXiv:2010.04159.

    Queries have `scores` (P, C) before the sigmoid, objects `labels` (G,); with `binary_input`, both have `masks` (P,
    ...) and (G, ...) of N pixels, whose mean counts.

    Args:
        alpha: The weight of a target; `1 - alpha` that of none.
        gamma: The exponent that takes weight from what is clear.
        eps: Added to probabilities before their logarithm.
        binary_input: Compare masks.
        weight: What the cost is multiplied by.
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2,
        *,
        eps: float = 1e-12,
        binary_input: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight)
        self.alpha = alpha
        self.gamma = gamma
        self.eps = eps
        self.binary_input = binary_input

    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return the differences (P, G) of losses, or the mean losses of masks."""
        if not self.binary_input:
            present, absent = focal_costs(pred_instances.scores, alpha=self.alpha, gamma=self.gamma, eps=self.eps)
            return (present - absent)[:, gt_instances.labels]
        masks, targets = full_precision(pred_instances.masks).flatten(1), full_precision(gt_instances.masks).flatten(1)
        present, absent = focal_costs(masks, alpha=self.alpha, gamma=self.gamma, eps=self.eps)
        return sum_over_targets(present, absent, targets) / masks.shape[1]


@TASK_UTILS.register_module()
class BinaryFocalLossCost(BaseMatchCost):
    """The focal loss of a sentence's tokens, each of which is a class. Liu et al., Grounding DINO, arXiv:2303.05499.

    Queries have `scores` (P, C) before the sigmoid; objects have `positive_maps` (G, C), what each token says of the
    object, and `text_token_mask` (G, C), which tokens there are.

    Args:
        alpha: The weight of a target; `1 - alpha` that of none.
        gamma: The exponent that takes weight from what is clear.
        eps: Added to probabilities before their logarithm.
        weight: What the cost is multiplied by.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2, *, eps: float = 1e-12, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.alpha = alpha
        self.gamma = gamma
        self.eps = eps

    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return the sums of losses (P, G)."""
        if not len(gt_instances.positive_maps):
            return pred_instances.scores.new_zeros(len(pred_instances.scores), 0)
        there = gt_instances.text_token_mask[0]
        scores, targets = pred_instances.scores[:, there], full_precision(gt_instances.positive_maps[:, there])
        return sum_over_targets(*focal_costs(scores, alpha=self.alpha, gamma=self.gamma, eps=self.eps), targets)


def focal_costs(logits: torch.Tensor, *, alpha: float, gamma: float, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what logits (P, C) cost as targets and as none of it, both (P, C); see `FocalLossCost`."""
    sure = full_precision(logits).sigmoid()
    present = -(sure + eps).log() * alpha * (1 - sure) ** gamma
    absent = -(1 - sure + eps).log() * (1 - alpha) * sure**gamma
    return present, absent


def sum_over_targets(present: torch.Tensor, absent: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Add up (P, C) costs of each target of (G, C) between 0 and 1, and of its opposite: (P, G)."""
    return present @ targets.T + absent @ (1 - targets).T


@TASK_UTILS.register_module()
class DiceCost(BaseMatchCost):
    """1 less the Dice coefficient of `masks` (P, ...) and (G, ...). Milletari et al., V-Net, arXiv:1606.04797.

    Args:
        pred_act: The queries' masks are logits.
        eps: Added above and below the line.
        naive_dice: Divide by the sums of the masks; else by those of their squares, as in the paper.
        weight: What the cost is multiplied by.
    """

    def __init__(
        self, pred_act: bool = False, eps: float = 1e-3, *, naive_dice: bool = True, weight: float = 1.0
    ) -> None:
        super().__init__(weight)
        self.pred_act = pred_act
        self.eps = eps
        self.naive_dice = naive_dice

    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return 1 less the coefficients: (P, G)."""
        masks, targets = full_precision(pred_instances.masks).flatten(1), full_precision(gt_instances.masks).flatten(1)
        if self.pred_act:
            masks = masks.sigmoid()
        power = 1 if self.naive_dice else 2
        whole = masks.pow(power).sum(dim=1)[:, None] + targets.pow(power).sum(dim=1)
        return 1 - (2 * masks @ targets.T + self.eps) / (whole + self.eps)


@TASK_UTILS.register_module()
class CrossEntropyLossCost(BaseMatchCost):
    """The mean binary cross entropy of `masks` (P, ...) before the sigmoid and (G, ...). Cheng et al., Mask2Former,
    arXiv:2112.01527.

    Args:
        use_sigmoid: There is no other kind.
        weight: What the cost is multiplied by.

    Raises:
        ValueError: `use_sigmoid` is false.
    """

    def __init__(self, use_sigmoid: bool = True, weight: float = 1.0) -> None:
        super().__init__(weight)
        if not use_sigmoid:
            raise ValueError("CrossEntropyLossCost compares binary masks: use_sigmoid=True")
        self.use_sigmoid = use_sigmoid

    def cost(self, pred_instances: InstanceData, gt_instances: InstanceData, img_meta: Meta | None) -> torch.Tensor:
        """Return the mean cross entropies (P, G)."""
        masks, targets = full_precision(pred_instances.masks).flatten(1), full_precision(gt_instances.masks).flatten(1)
        # softplus(-x) t + softplus(x) (1 - t) = softplus(x) - x t
        return (F.softplus(masks).sum(dim=1)[:, None] - masks @ targets.T) / masks.shape[1]

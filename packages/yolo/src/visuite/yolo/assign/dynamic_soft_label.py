"""Objects to the priors that predict them at the lowest cost, classes being as sure as boxes overlap. Lyu et al.,
RTMDet, arXiv:2212.07784.

Shapes: B images, P priors, G objects of the image that has most, g objects of a slice, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.ops import full_precision
from visuite.det.assign.sweep import IoUCalculator
from visuite.yolo.assign.batch import (
    Pairs,
    batch_targets,
    centre_distances,
    inside_boxes,
    object_slices,
    scores_of_labels,
)
from visuite.yolo.assign.matching import Contest, dynamic_k
from visuite.yolo.registry import TASK_UTILS

#: Added to overlaps before their logarithm.
EPS = 1e-7


@TASK_UTILS.register_module()
class BatchDynamicSoftLabelAssigner(nn.Module):
    """Match by the sum of cross entropy with the overlap as target, `-log(overlap)` and the distance from the centre,
    among the priors inside objects.

    Only the object's own class makes cross entropy here, not all classes as in detection's `DynamicSoftLabelAssigner`.
    An object gets as many priors as its `topk` best overlaps add up to. The score of a prior shall be how much the box
    predicted there overlaps the object. Objects are looked at a slice at a time: memory is bound by two dozen matrices
    of 16 MiB.

    Args:
        num_classes: K.
        soft_center_radius: The distance from the centre, in strides, that costs 1; each further stride costs ten times
            more.
        topk: Overlaps that are added up.
        iou_weight: The weight of `-log(overlap)`.
        iou_calculator: Config or object; the measure of overlap.
    """

    def __init__(
        self,
        num_classes: int,
        soft_center_radius: float = 3.0,
        *,
        topk: int = 13,
        iou_weight: float = 3.0,
        iou_calculator: Mapping[str, Any] | IoUCalculator = {"type": "det.BboxOverlaps2D"},  # noqa: B006 (read only)
    ) -> None:
        super().__init__()
        self.num_classes, self.topk = num_classes, topk
        self.soft_center_radius, self.iou_weight = soft_center_radius, iou_weight
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)

    @torch.no_grad()
    def forward(
        self,
        pred_bboxes: torch.Tensor,
        pred_scores: torch.Tensor,
        priors: torch.Tensor,
        gt_labels: torch.Tensor,
        gt_bboxes: torch.Tensor,
        pad_bbox_flag: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Assign the priors of a batch.

        Args:
            pred_bboxes: (B, P, 4) in pixels.
            pred_scores: (B, P, K) before the sigmoid.
            priors: (P, 4), points and strides.
            gt_labels: (B, G, 1).
            gt_bboxes: (B, G, 4) in pixels.
            pad_bbox_flag: (B, G, 1), 0 where a row is no object.

        Returns:
            See `batch_targets`.
        """
        labels, scores = gt_labels[..., 0].long(), full_precision(pred_scores)
        inside = torch.zeros(scores.shape[:2], dtype=torch.bool, device=scores.device)
        for part in object_slices(gt_bboxes, len(priors)):
            inside |= (inside_boxes(priors, gt_bboxes[:, part]) & (pad_bbox_flag[:, part] > 0)).any(dim=1)
        contest = Contest(inside.shape, inside.device)
        for part in object_slices(gt_bboxes, len(priors)):
            boxes = gt_bboxes[:, part]
            overlaps = self.iou_calculator(boxes, pred_bboxes)
            own = scores_of_labels(scores, labels[:, part])
            entropy = (F.softplus(own) - own * overlaps) * (overlaps - own.sigmoid()) ** 2
            centre = 10 ** (centre_distances(priors, boxes) / priors[:, 2] - self.soft_center_radius)
            costs = entropy - self.iou_weight * (overlaps + EPS).log() + centre
            costs = costs.masked_fill(~(inside[:, None] & (pad_bbox_flag[:, part] > 0)), torch.inf)
            contest.update(*dynamic_k(costs, overlaps, inside[:, None], self.topk), -costs, part.start)
        owners = contest.owners()
        pairs = Pairs.owned(owners, gt_bboxes.shape[1])
        predicted, boxes = pred_bboxes[pairs.images, pairs.priors], gt_bboxes[pairs.images, pairs.objects]
        overlaps = self.iou_calculator(predicted, boxes, is_aligned=True)
        return batch_targets(owners, pairs.at_priors(overlaps), gt_labels, gt_bboxes, self.num_classes)

"""Objects to the priors that predict them at the lowest cost, classes being as sure as boxes overlap. Lyu et al.,
RTMDet, arXiv:2212.07784.

Shapes: P priors, V of them inside any object, G objects of one image, g objects of a chunk, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from visuite.det.assign.pairs import (
    box_centres,
    centre_distances,
    match_by_cost,
    matched_overlaps,
    points_in_boxes,
)
from visuite.det.assign.result import AssignResult
from visuite.det.assign.sweep import BOX_IOU, Cfg, IoUCalculator, object_chunks
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

#: Added to overlaps before their logarithm.
EPS = 1e-7


@TASK_UTILS.register_module()
class DynamicSoftLabelAssigner:
    """Match by the sum of cross entropy with the overlap as target, `-log(overlap)` and the distance from the centre,
    among the priors inside objects.

    An object gets as many priors as its `topk` best overlaps add up to. Objects are looked at a chunk at a time, and
    classes never make a third dimension: memory is bound by a dozen matrices of 16 MiB.

    Args:
        soft_center_radius: The distance from the centre, in strides, that costs 1; each further stride costs ten times
            more.
        topk: Overlaps that are added up.
        iou_weight: The weight of `-log(overlap)`.
        iou_calculator: Config or object; the measure of overlap.
    """

    def __init__(
        self,
        soft_center_radius: float = 3.0,
        topk: int = 13,
        *,
        iou_weight: float = 3.0,
        iou_calculator: Cfg | IoUCalculator = BOX_IOU,
    ) -> None:
        self.soft_center_radius = soft_center_radius
        self.topk = topk
        self.iou_weight = iou_weight
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)

    @torch.no_grad()
    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign the priors of one image.

        Args:
            pred_instances: `priors` (P, 4), points and strides (x, y, w, h), and what is predicted there: `scores` (P,
                C) before the sigmoid and `bboxes` (P, 4).
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: Without effect.
            kwargs: Without effect.

        Returns:
            `max_overlaps` (P,) are the overlaps of predicted boxes with their objects, 0 where there is none.
        """
        boxes, labels = gt_instances.bboxes, gt_instances.labels
        inside = torch.zeros(len(pred_instances.priors), dtype=torch.bool, device=boxes.device)
        for part in object_chunks(len(boxes), len(inside)):
            inside |= points_in_boxes(pred_instances.priors, boxes[part]).any(dim=0)
        valid = inside.nonzero().squeeze(1)
        priors, predicted = pred_instances.priors[valid], pred_instances.bboxes[valid]
        scores = pred_instances.scores[valid].float()
        absent = F.softplus(scores) * scores.sigmoid() ** 2  # what a class costs that is not the object's
        all_absent = absent.sum(dim=1)

        def costs(chosen: torch.Tensor, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
            overlaps = self.iou_calculator(boxes[part], predicted[chosen])
            own = scores[chosen[:, None], labels[part]].T
            entropy = (F.softplus(own) - own * overlaps) * (overlaps - own.sigmoid()) ** 2
            classes = all_absent[chosen] - absent[chosen[:, None], labels[part]].T + entropy
            away = centre_distances(priors[chosen], box_centres(boxes[part])) / priors[chosen, 2]
            centre = 10 ** (away - self.soft_center_radius)
            return classes - self.iou_weight * (overlaps + EPS).log() + centre, overlaps

        found = match_by_cost(costs, num_gts=len(boxes), num_priors=len(valid), topk=self.topk, device=boxes.device)
        gt_inds = torch.zeros_like(inside, dtype=torch.long).index_put((valid,), found)
        overlaps = matched_overlaps(gt_inds, pred_instances.bboxes, boxes, self.iou_calculator)
        return AssignResult.of(gt_inds, labels, overlaps)

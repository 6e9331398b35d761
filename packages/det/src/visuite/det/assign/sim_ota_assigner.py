"""Objects to the priors that predict them at the lowest cost, their number by the overlaps. Ge et al., YOLOX,
arXiv:2107.08430.

Shapes: P priors, V of them near any object, G objects of one image, g objects of a chunk, C classes.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign.pairs import box_centres, match_by_cost, matched_overlaps, points_in_boxes
from visuite.det.assign.result import AssignResult
from visuite.det.assign.sweep import BOX_IOU, Cfg, IoUCalculator, object_chunks
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

#: What is added to the cost of a prior outside the object or far from its centre.
FAR = 1e5
#: Added to overlaps before their logarithm.
EPS = 1e-7
#: No logarithm of a score is less.
LEAST_LOG = -100.0


@TASK_UTILS.register_module()
class SimOTAAssigner:
    """Match by the sum of cross entropy and `-log(overlap)`, among the priors inside objects or near their centres.

    An object gets as many priors as its `candidate_topk` best overlaps add up to. Objects are looked at a chunk at a
    time, and classes never make a third dimension: memory is bound by a dozen matrices of 16 MiB.

    Args:
        center_radius: How near a centre is, in strides along each axis.
        candidate_topk: Overlaps that are added up.
        iou_weight: The weight of `-log(overlap)`.
        cls_weight: The weight of cross entropy.
        iou_calculator: Config or object; the measure of overlap.
    """

    def __init__(
        self,
        center_radius: float = 2.5,
        candidate_topk: int = 10,
        *,
        iou_weight: float = 3.0,
        cls_weight: float = 1.0,
        iou_calculator: Cfg | IoUCalculator = BOX_IOU,
    ) -> None:
        self.center_radius = center_radius
        self.candidate_topk = candidate_topk
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight
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
                C) between 0 and 1 (YOLOX gives the root of class times objectness) and `bboxes` (P, 4).
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: Without effect.
            kwargs: Without effect.

        Returns:
            `max_overlaps` (P,) are the overlaps of predicted boxes with their objects, 0 where there is none.
        """
        boxes, labels = gt_instances.bboxes, gt_instances.labels
        near = torch.zeros(len(pred_instances.priors), dtype=torch.bool, device=boxes.device)
        for part in object_chunks(len(boxes), len(near)):
            inside, central = self._places(pred_instances.priors, boxes[part])
            near |= (inside | central).any(dim=0)
        valid = near.nonzero().squeeze(1)
        priors, predicted = pred_instances.priors[valid], pred_instances.bboxes[valid]
        absent, present = entropies(pred_instances.scores[valid].float())

        def costs(chosen: torch.Tensor, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
            overlaps = self.iou_calculator(boxes[part], predicted[chosen])
            entropy = absent[chosen, 0] + present[chosen[:, None], labels[part]].T
            inside, central = self._places(priors[chosen], boxes[part])
            cost = self.cls_weight * entropy - self.iou_weight * (overlaps + EPS).log()
            return cost + FAR * ~(inside & central), overlaps

        found = match_by_cost(
            costs, num_gts=len(boxes), num_priors=len(valid), topk=self.candidate_topk, device=boxes.device
        )
        gt_inds = torch.zeros_like(near, dtype=torch.long).index_put((valid,), found)
        overlaps = matched_overlaps(gt_inds, pred_instances.bboxes, boxes, self.iou_calculator)
        return AssignResult.of(gt_inds, labels, overlaps)

    def _places(self, priors: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell which priors (V, 4) lie inside which objects (g, 4), and which near their centres: two of (g, V)."""
        across, down = (box_centres(boxes)[:, :, None] - priors[:, :2].T).abs().unbind(1)
        reach = self.center_radius * priors[:, 2:].T
        return points_in_boxes(priors, boxes), (across < reach[0]) & (down < reach[1])


def entropies(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what scores (V, C) between 0 and 1 cost where there is no object, (V, 1), and what is to be added for the
    class of the object, (V, C): both make the cross entropy with a one-hot target.
    """
    absent = -torch.log1p(-scores).clamp(min=LEAST_LOG)
    return absent.sum(dim=1, keepdim=True), -scores.log().clamp(min=LEAST_LOG) - absent

"""Objects to the priors that predict them best, in class and in box. Feng et al., TOOD, arXiv:2108.07755.

Shapes: P priors, G objects of one image, g objects of a chunk, C classes.
"""

from __future__ import annotations

import torch

from visuite.det.assign.pairs import best_pairs, box_centres, centres_inside, pair_up
from visuite.det.assign.result import AssignResult
from visuite.det.assign.sweep import BOX_IOU, Cfg, IoUCalculator, object_chunks
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


@TASK_UTILS.register_module()
class TaskAlignedAssigner:
    """An object gets the priors of greatest `score ** alpha * overlap ** beta` whose centre lies inside it.

    Objects are looked at a chunk at a time: memory is bound by a dozen matrices of 16 MiB.

    Args:
        topk: Priors that an object gets at most.
        iou_calculator: Config or object; the measure of overlap.
        alpha: The exponent of the score.
        beta: The exponent of the overlap.

    Raises:
        ValueError: `topk` is less than 1.
    """

    def __init__(
        self, topk: int, iou_calculator: Cfg | IoUCalculator = BOX_IOU, *, alpha: float = 1.0, beta: float = 6.0
    ) -> None:
        if topk < 1:
            raise ValueError(f"topk is at least 1, not {topk}")
        self.topk = topk
        self.alpha = alpha
        self.beta = beta
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)

    @torch.no_grad()
    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        alpha: float | None = None,
        beta: float | None = None,
    ) -> AssignResult:
        """Assign the priors of one image.

        Args:
            pred_instances: `priors` (P, 4), and what is predicted there: `scores` (P, C) after the sigmoid and `bboxes`
                (P, 4).
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: Without effect.
            alpha: Instead of the assigner's own.
            beta: Instead of the assigner's own.

        Returns:
            `max_overlaps` (P,) are the overlaps of predicted boxes with their objects, and `assign_metrics` (P,) how
            well both are aligned; 0 where there is no object.
        """
        alpha, beta = self.alpha if alpha is None else alpha, self.beta if beta is None else beta
        priors, predicted, scores = pred_instances.priors, pred_instances.bboxes, pred_instances.scores
        boxes, labels = gt_instances.bboxes, gt_instances.labels

        def alignment(scores: torch.Tensor, overlaps: torch.Tensor) -> torch.Tensor:
            return scores**alpha * overlaps**beta

        count = min(self.topk, len(priors))
        nearest = [torch.zeros(0, count, dtype=torch.long, device=boxes.device)]
        for part in object_chunks(len(boxes), len(priors)):
            metrics = alignment(scores[:, labels[part]].T, self.iou_calculator(boxes[part], predicted))
            nearest.append(metrics.topk(count, dim=1).indices)
        near, objects = pair_up(torch.cat(nearest))
        overlaps = self.iou_calculator(boxes[objects], predicted[near], is_aligned=True)
        metrics = alignment(scores[near, labels[objects]], overlaps)
        belongs = (metrics > 0) & centres_inside(box_centres(priors[near]), boxes[objects])
        near, objects, overlaps = near[belongs], objects[belongs], overlaps[belongs]
        gt_inds, best = best_pairs(near, objects, overlaps, len(priors))
        result = AssignResult.of(gt_inds, labels, best)
        kept = gt_inds[near] == objects + 1
        result.assign_metrics = metrics.new_zeros(len(priors)).index_put((near[kept],), metrics[belongs][kept])
        return result

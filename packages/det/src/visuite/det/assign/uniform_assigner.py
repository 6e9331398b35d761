"""The same number of priors to every object, large or small. Chen et al., YOLOF, arXiv:2103.09460.

Shapes: P priors, G objects of one image, g objects of a chunk, k priors that an object gets twice, M = 2 k G pairs.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.cv.ops import bbox_xyxy_to_cxcywh
from visuite.det.assign.result import IGNORED, AssignResult
from visuite.det.assign.sweep import BOX_IOU, BestObjects, Cfg, IoUCalculator, object_chunks
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


@TASK_UTILS.register_module()
class UniformAssigner:
    """An object gets the `match_times` priors nearest to it, and those whose predicted boxes are nearest.

    How near is the sum of the differences of centres and sizes. Objects are looked at a chunk at a time: memory is
    bound by a dozen matrices of 16 MiB.

    Args:
        pos_ignore_thr: A prior that overlaps its object by less than this does not count.
        neg_ignore_thr: A prior without an object whose predicted box overlaps one by more than this does not count.
        match_times: k.
        iou_calculator: Config or object; the measure of overlap.
    """

    def __init__(
        self,
        pos_ignore_thr: float,
        neg_ignore_thr: float,
        *,
        match_times: int = 4,
        iou_calculator: Cfg | IoUCalculator = BOX_IOU,
    ) -> None:
        self.pos_ignore_thr = pos_ignore_thr
        self.neg_ignore_thr = neg_ignore_thr
        self.match_times = match_times
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign the priors of one image.

        Args:
            pred_instances: `priors` (P, 4), and the boxes predicted there, `decoder_priors` (P, 4).
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: Without effect.
            kwargs: Without effect.

        Returns:
            `max_overlaps` (P,) of priors with any object. Extra properties: `pos_predicted_boxes` (M, 4), with their
            gradient, and `target_boxes` (M, 4), what is predicted and the truth of each pair, and `pos_idx` (M,) bool,
            which of the pairs count.
        """
        priors, predicted = pred_instances.priors, pred_instances.decoder_priors
        boxes, labels = gt_instances.bboxes, gt_instances.labels
        of_priors, of_guesses = (BestObjects(len(priors), priors.device) for _ in range(2))
        nearest = [[torch.zeros(0, min(self.match_times, len(priors)), dtype=torch.long, device=priors.device)] * 2]
        for part in object_chunks(len(boxes), len(priors)):
            of_priors.update(self.iou_calculator(boxes[part], priors), part.start)
            of_guesses.update(self.iou_calculator(boxes[part], predicted.detach()), part.start)
            nearest.append([self._nearest(boxes[part], one) for one in (predicted.detach(), priors)])
        # (2, G, k) to pairs in the order of predictions and priors, then of nearness, then of objects
        near = torch.stack([torch.cat(one) for one in zip(*nearest, strict=True)]).transpose(1, 2).flatten()
        objects = torch.arange(len(boxes), device=boxes.device).repeat(len(near) // max(len(boxes), 1))
        counts = self.iou_calculator(priors[near], boxes[objects], is_aligned=True) >= self.pos_ignore_thr
        ignored = of_guesses.overlaps > self.neg_ignore_thr
        gt_inds = torch.zeros_like(of_priors.objects).masked_fill(ignored, IGNORED)
        last = torch.full_like(gt_inds, -1)  # a prior in several pairs is of the last
        last.scatter_reduce_(0, near, torch.arange(len(near), device=near.device), "amax")
        paired = last >= 0
        gt_inds[paired] = torch.where(counts, objects + 1, IGNORED)[last[paired]]
        result = AssignResult.of(gt_inds, labels, of_priors.overlaps.clamp(min=0))
        result.set_extra_property("pos_idx", counts)
        result.set_extra_property("pos_predicted_boxes", predicted[near])
        result.set_extra_property("target_boxes", boxes[objects])
        return result

    def _nearest(self, boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Return the numbers (g, k) of the boxes (P, 4) that are nearest to objects (g, 4), the nearest first."""
        apart = torch.cdist(bbox_xyxy_to_cxcywh(boxes), bbox_xyxy_to_cxcywh(others), p=1)
        return apart.topk(min(self.match_times, len(others)), dim=1, largest=False).indices

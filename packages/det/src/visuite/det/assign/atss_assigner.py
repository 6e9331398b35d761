"""Objects to near priors, by a threshold of their own. Zhang et al., ATSS, arXiv:1912.02424.

Shapes: P priors of all levels, G objects of one image, g objects of a chunk, K candidates of an object, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from visuite.det.assign.pairs import best_pairs, box_centres, centre_distances, centres_inside, pair_up
from visuite.det.assign.result import IGNORED, AssignResult
from visuite.det.assign.sweep import BOX_IOU, Cfg, IoUCalculator, object_chunks, priors_in_regions
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


@TASK_UTILS.register_module()
class ATSSAssigner:
    """An object's candidates are the nearest priors of each level; those belong to it that overlap it by the
    candidates' mean and standard deviation at least, and whose centre lies inside.

    Distances are taken a chunk of objects at a time, overlaps for candidates alone: memory is bound by a few matrices
    of 16 MiB.

    Args:
        topk: Candidates of each level.
        alpha: If given, what stands in for overlap is `score ** (1 - alpha) * overlap ** alpha` of the predictions, as
            in Chen et al., DDOD, arXiv:2107.02963.
        iou_calculator: Config or object; the measure of overlap.
        ignore_iof_thr: A prior that lies in a region of `gt_instances_ignore` by more than this part does not count; 0
            and
            less: all count.
    """

    def __init__(
        self,
        topk: int,
        alpha: float | None = None,
        *,
        iou_calculator: Cfg | IoUCalculator = BOX_IOU,
        ignore_iof_thr: float = -1,
    ) -> None:
        self.topk = topk
        self.alpha = alpha
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)
        self.ignore_iof_thr = ignore_iof_thr

    def assign(
        self,
        pred_instances: InstanceData,
        num_level_priors: Sequence[int],
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign the priors of one image.

        Args:
            pred_instances: `priors` (P, 4); with `alpha` also what is predicted there, `scores` (P, C) before the
                sigmoid and `bboxes` (P, 4).
            num_level_priors: How many of the P belong to each level.
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: `bboxes` of regions whose priors do not count.
            kwargs: Without effect.

        Raises:
            ValueError: the levels do not add up to P, or predictions are missing.
        """
        priors, boxes = pred_instances.priors[:, :4], gt_instances.bboxes
        if sum(num_level_priors) != len(priors):
            raise ValueError(
                f"levels of {list(num_level_priors)} priors are {sum(num_level_priors)}, not {len(priors)}"
            )
        ignored = priors_in_regions(priors, gt_instances_ignore, self.ignore_iof_thr, self.iou_calculator)
        candidates = self._candidates(priors, num_level_priors, boxes, ignored)
        near, objects = pair_up(candidates)
        fits = self._fits(pred_instances, gt_instances, near, objects)
        threshold = own_thresholds(fits.reshape(candidates.shape))
        belongs = (fits >= threshold[objects]) & centres_inside(box_centres(priors[near]), boxes[objects])
        if ignored is not None:
            belongs &= ~ignored[near]
        gt_inds, best = best_pairs(near[belongs], objects[belongs], fits[belongs], len(priors))
        if ignored is not None:
            gt_inds = gt_inds.masked_fill(ignored, IGNORED)
        return AssignResult.of(gt_inds, gt_instances.labels, best)

    def _candidates(
        self, priors: torch.Tensor, num_level_priors: Sequence[int], boxes: torch.Tensor, ignored: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the numbers (G, K) of the priors that are nearest to each object, `topk` of each level."""
        middles, goals = box_centres(priors), box_centres(boxes)
        of_levels = [min(self.topk, count) for count in num_level_priors]
        chunks = [torch.zeros(0, sum(of_levels), dtype=torch.long, device=boxes.device)]
        for part in object_chunks(len(boxes), len(priors)):
            distances = centre_distances(middles, goals[part])
            if ignored is not None:
                distances = distances.masked_fill(ignored, torch.inf)
            nearest, start = [], 0
            for level, count in zip(distances.split(list(num_level_priors), dim=1), of_levels, strict=True):
                nearest.append(level.topk(count, dim=1, largest=False).indices + start)
                start += level.shape[1]
            chunks.append(torch.cat(nearest, dim=1))
        return torch.cat(chunks)

    def _fits(
        self, pred_instances: InstanceData, gt_instances: InstanceData, near: torch.Tensor, objects: torch.Tensor
    ) -> torch.Tensor:
        """Return the overlaps (M,) of pairs, or what stands in for them."""
        boxes = gt_instances.bboxes[objects]
        if self.alpha is None:
            return self.iou_calculator(pred_instances.priors[near, :4], boxes, is_aligned=True)
        for name in ("scores", "bboxes"):
            if name not in pred_instances:
                raise ValueError(f"ATSSAssigner with alpha={self.alpha} needs pred_instances.{name}")
        scores = pred_instances.scores.detach()[near, gt_instances.labels[objects]].sigmoid()
        overlaps = self.iou_calculator(pred_instances.bboxes.detach()[near], boxes, is_aligned=True)
        return scores ** (1 - self.alpha) * overlaps**self.alpha


def own_thresholds(fits: torch.Tensor) -> torch.Tensor:
    """Return the mean plus the standard deviation (G,) of each object's candidates (G, K); the mean of a single one."""
    mean = fits.mean(dim=1)
    return mean + fits.std(dim=1) if len(fits) and fits.shape[1] > 1 else mean

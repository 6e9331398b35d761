"""Objects to anchors of the cells that hold their centres. Redmon and Farhadi, YOLOv3, arXiv:1804.02767.

Shapes: P priors, G objects of one image, g objects of a chunk.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign.result import BACKGROUND, IGNORED, AssignResult
from visuite.det.assign.sweep import BOX_IOU, BestObjects, Cfg, Claims, IoUCalculator, object_chunks
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


@TASK_UTILS.register_module()
class GridAssigner:
    """Each object gets the anchors that overlap it by enough or most, of those in cells that hold a centre.

    Anchors that overlap no object by more than `neg_iou_thr` are background; what is neither does not count. Objects
    are compared a chunk at a time: memory is bound by a dozen matrices of 16 MiB.

    Args:
        pos_iou_thr: An anchor of such a cell belongs to the object that it overlaps most above this overlap.
        neg_iou_thr: Up to this one an anchor is background, or above the first and up to the second of two.
        min_pos_iou: An object takes the anchors that overlap it most above this overlap, whatever else they overlap.
        gt_max_assign_all: It takes all of those that overlap it equally; else the first.
        iou_calculator: Config or object; the measure of overlap.
    """

    def __init__(
        self,
        pos_iou_thr: float,
        neg_iou_thr: float | tuple[float, float],
        *,
        min_pos_iou: float = 0.0,
        gt_max_assign_all: bool = True,
        iou_calculator: Cfg | IoUCalculator = BOX_IOU,
    ) -> None:
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.min_pos_iou = min_pos_iou
        self.gt_max_assign_all = gt_max_assign_all
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign the anchors of one image.

        Args:
            pred_instances: `priors` (P, 4) and `responsible_flags` (P,), whether an anchor's cell holds a centre.
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: Without effect.
            kwargs: Without effect.

        Returns:
            `max_overlaps` (P,) of the anchors in such cells, -1 of the others; without objects, 0.
        """
        priors, responsible = pred_instances.priors, pred_instances.responsible_flags.bool()
        boxes, labels = gt_instances.bboxes, gt_instances.labels
        if not len(boxes):
            background = torch.full((len(priors),), BACKGROUND, dtype=torch.long, device=priors.device)
            return AssignResult.of(background, labels, priors.new_zeros(len(priors)))
        any_cell, right_cell = (BestObjects(len(priors), priors.device) for _ in range(2))
        claims = Claims(len(priors), self.gt_max_assign_all, priors.device)
        for part in object_chunks(len(boxes), len(priors)):
            overlaps = self.iou_calculator(boxes[part], priors)
            any_cell.update(overlaps, part.start)
            overlaps = overlaps.masked_fill(~responsible, -1)
            right_cell.update(overlaps, part.start)
            claims.update(overlaps, part.start, lambda top: top > self.min_pos_iou)
        gt_inds = torch.full_like(any_cell.objects, IGNORED)
        gt_inds = gt_inds.masked_fill(self._is_background(any_cell.overlaps), BACKGROUND)
        gt_inds = torch.where(right_cell.overlaps > self.pos_iou_thr, right_cell.objects + 1, gt_inds)
        gt_inds = torch.where(claims.owners > 0, claims.owners, gt_inds)
        return AssignResult.of(gt_inds, labels, right_cell.overlaps)

    def _is_background(self, overlaps: torch.Tensor) -> torch.Tensor:
        if isinstance(self.neg_iou_thr, (int, float)):
            return overlaps <= self.neg_iou_thr
        low, high = self.neg_iou_thr
        return (overlaps > low) & (overlaps <= high)

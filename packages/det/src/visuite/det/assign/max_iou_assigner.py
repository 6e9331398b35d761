"""Each prior to the object that it overlaps most, if by enough. Ren et al., Faster R-CNN, arXiv:1506.01497.

Shapes: P priors, G objects of one image, g objects of a chunk, A approximations of a prior.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from visuite.det.assign.result import BACKGROUND, IGNORED, AssignResult
from visuite.det.assign.sweep import BOX_IOU, BestObjects, Cfg, Claims, IoUCalculator, object_chunks, priors_in_regions
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData


@dataclass(frozen=True)
class IoURules:
    """From overlaps to objects.

    Attributes:
        pos_iou_thr: A prior belongs to the object that it overlaps most from this overlap on.
        neg_iou_thr: Below this one it is background, or from the first to below the second of two. What is neither does
            not count.
        min_pos_iou: An object takes the priors that it overlaps most, from this overlap on.
        gt_max_assign_all: It takes all that overlap it equally; else one.
        match_low_quality: Whether objects take priors in this second way at all.

    Raises:
        ValueError: no range, or one that reaches above `pos_iou_thr`.
    """

    pos_iou_thr: float
    neg_iou_thr: float | tuple[float, float]
    min_pos_iou: float = 0.0
    gt_max_assign_all: bool = True
    match_low_quality: bool = True

    def __post_init__(self) -> None:
        low, high = self.background
        if not low <= high <= self.pos_iou_thr:
            raise ValueError(f"neg_iou_thr {self.neg_iou_thr} does not lie below pos_iou_thr {self.pos_iou_thr}")

    @property
    def background(self) -> tuple[float, float]:
        """The overlaps that background begins with and ends before."""
        if isinstance(self.neg_iou_thr, (int, float)):
            return 0.0, self.neg_iou_thr
        low, high = self.neg_iou_thr
        return low, high


def assign_by_overlap(
    compare: Callable[[slice], torch.Tensor],
    gt_labels: torch.Tensor,
    rules: IoURules,
    *,
    num_priors: int,
    ignored: torch.Tensor | None = None,
) -> AssignResult:
    """Assign priors by their overlaps, which are looked at a chunk of objects at a time.

    Args:
        compare: Returns the overlaps (g, P) of a slice of the objects.
        gt_labels: (G,).
        rules: What follows from overlaps.
        num_priors: P.
        ignored: (P,) bool, the priors that do not count.

    Returns:
        With `max_overlaps`, -1 where a prior does not count.
    """
    device = gt_labels.device
    best, claims = BestObjects(num_priors, device), Claims(num_priors, rules.gt_max_assign_all, device)
    for part in object_chunks(len(gt_labels), num_priors):
        overlaps = compare(part)
        if ignored is not None:
            overlaps = overlaps.masked_fill(ignored, -1)
        best.update(overlaps, part.start)
        if rules.match_low_quality:
            claims.update(overlaps, part.start, lambda top: top >= rules.min_pos_iou)
    overlaps = best.overlaps
    if not len(gt_labels):
        overlaps = torch.zeros_like(overlaps) if ignored is None else -ignored.to(overlaps)
    low, high = rules.background
    background = (overlaps >= low) & (overlaps < high) if len(gt_labels) else overlaps == 0
    gt_inds = torch.full_like(best.objects, IGNORED).masked_fill(background, BACKGROUND)
    if len(gt_labels):
        gt_inds = torch.where(overlaps >= rules.pos_iou_thr, best.objects + 1, gt_inds)
        gt_inds = torch.where(claims.owners > 0, claims.owners, gt_inds)
    return AssignResult.of(gt_inds, gt_labels, overlaps)


class OverlapAssigner(ABC):
    """Each prior to the object that it overlaps most; and each object gets the priors that overlap it most.

    Objects are compared a chunk at a time, so that memory hardly grows with their number: it stays below 256 MiB for
    200,000 priors and 1,000 objects, in tensors of 16 MiB. A subclass says what overlap is.

    Args:
        pos_iou_thr: A prior belongs to the object that it overlaps most from this overlap on.
        neg_iou_thr: Below this one it is background, or from the first to below the second of two. What is neither does
            not count.
        min_pos_iou: An object takes the priors that overlap it most from this overlap on, whatever else they overlap.
            An object that nothing overlaps takes none.
        gt_max_assign_all: It takes all of those that overlap it equally; else the first.
        ignore_iof_thr: A prior that lies in a region of `gt_instances_ignore` by more than this part does not count;
            0 and less: all count.
        ignore_wrt_candidates: The part of a prior; else the part of the region.
        match_low_quality: Whether objects take priors as of `min_pos_iou` at all.
        gpu_assign_thr: With more objects than this, compare on the CPU; less than 0: never.
        iou_calculator: Config or object; the measure of overlap.
        perm_repeat_gt_cfg: `iou_thr` and `perm_range`: objects that overlap an earlier one by more than the first are
            moved by chance, up to the second in parts of their size, so that the objects of one place share its priors.

    Raises:
        ValueError: thresholds that contradict each other.
    """

    def __init__(
        self,
        pos_iou_thr: float,
        neg_iou_thr: float | tuple[float, float],
        *,
        min_pos_iou: float = 0.0,
        gt_max_assign_all: bool = True,
        ignore_iof_thr: float = -1,
        ignore_wrt_candidates: bool = True,
        match_low_quality: bool = True,
        gpu_assign_thr: float = -1,
        iou_calculator: Cfg | IoUCalculator = BOX_IOU,
        perm_repeat_gt_cfg: Cfg | None = None,
    ) -> None:
        self.rules = IoURules(pos_iou_thr, neg_iou_thr, min_pos_iou, gt_max_assign_all, match_low_quality)
        self.ignore_iof_thr = ignore_iof_thr
        self.ignore_wrt_candidates = ignore_wrt_candidates
        self.gpu_assign_thr = gpu_assign_thr
        self.iou_calculator: IoUCalculator = TASK_UTILS.build(iou_calculator)
        self.perm_repeat_gt_cfg = perm_repeat_gt_cfg

    @abstractmethod
    def overlaps(self, pred_instances: InstanceData, boxes: torch.Tensor) -> torch.Tensor:
        """Return how much objects (g, 4) and priors overlap: (g, P)."""

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign the priors of one image.

        Args:
            pred_instances: `priors` (P, 4), and what `overlaps` needs.
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            gt_instances_ignore: `bboxes` of regions whose priors do not count.
            kwargs: Without effect.
        """
        home = pred_instances.priors.device
        if 0 <= self.gpu_assign_thr < len(gt_instances.bboxes):
            pred_instances, gt_instances = pred_instances.cpu(), gt_instances.cpu()
            gt_instances_ignore = None if gt_instances_ignore is None else gt_instances_ignore.cpu()
        boxes = gt_instances.bboxes
        if self.perm_repeat_gt_cfg is not None:
            boxes = move_repeats(boxes, self.iou_calculator, **self.perm_repeat_gt_cfg)
        ignored = priors_in_regions(
            pred_instances.priors,
            gt_instances_ignore,
            self.ignore_iof_thr,
            self.iou_calculator,
            wrt_candidates=self.ignore_wrt_candidates,
        )
        return assign_by_overlap(
            lambda part: self.overlaps(pred_instances, boxes[part]),
            gt_instances.labels,
            self.rules,
            num_priors=len(pred_instances.priors),
            ignored=ignored,
        ).to(home)


def move_repeats(
    boxes: torch.Tensor, iou_calculator: IoUCalculator, *, iou_thr: float, perm_range: float
) -> torch.Tensor:
    """Move boxes (G, 4) that overlap an earlier one by more than `iou_thr`, by chance.

    Args:
        boxes: (G, 4).
        iou_calculator: The measure of overlap.
        iou_thr: Above it, boxes are one place's.
        perm_range: How far each corner may move along either axis, in parts of the box's size.
    """
    repeated = (iou_calculator(boxes, boxes) > iou_thr).tril(-1).any(dim=1)
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes + (2 * torch.rand_like(boxes) - 1) * perm_range * size
    return torch.where(repeated[:, None], moved, boxes)


@TASK_UTILS.register_module()
class MaxIoUAssigner(OverlapAssigner):
    """Each prior to the object that it overlaps most; and each object gets the priors that overlap it most.

    Arguments and memory as of `OverlapAssigner`.
    """

    def overlaps(self, pred_instances: InstanceData, boxes: torch.Tensor) -> torch.Tensor:
        """Return how much objects (g, 4) and `priors` (P, 4) overlap: (g, P)."""
        return self.iou_calculator(boxes, pred_instances.priors)


@TASK_UTILS.register_module()
class ApproxMaxIoUAssigner(OverlapAssigner):
    """The same where each prior stands for A boxes: it overlaps an object as much as the best of them does.
    Wang et al., Region Proposal by Guided Anchoring, arXiv:1901.03278.

    Arguments and memory as of `OverlapAssigner`.
    """

    def overlaps(self, pred_instances: InstanceData, boxes: torch.Tensor) -> torch.Tensor:
        """Return how much objects (g, 4) and the best of `approxs` (P, A, 4) overlap: (g, P)."""
        first, *others = pred_instances.approxs.unbind(1)
        best = self.iou_calculator(boxes, first)
        for approx in others:
            best = torch.maximum(best, self.iou_calculator(boxes, approx))
        return best

"""Objects to near priors, by a threshold of their own. Zhang et al., ATSS, arXiv:1912.02424.

Shapes: B images, P priors of all levels, G objects of the image that has most, g objects of a slice, C candidates of an
object, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.det.assign.atss_assigner import own_thresholds
from visuite.det.assign.sweep import IoUCalculator
from visuite.det.boxes import bbox2distance
from visuite.yolo.assign.batch import Pairs, batch_targets, centre_distances, object_slices
from visuite.yolo.registry import TASK_UTILS

#: The cell of a prior, by which it overlaps objects, is so many strides wide and high.
CELL = 5.0


@TASK_UTILS.register_module()
class BatchATSSAssigner(nn.Module):
    """An object's candidates are the nearest priors of each level; those belong to it whose cell overlaps it by the
    candidates' mean and standard deviation at least, and that lie inside.

    A prior that several objects want goes to the one that its cell overlaps most. Its score shall be how much the box
    predicted there overlaps the object. Objects are looked at a slice at a time: memory is bound by a few matrices of
    16 MiB.

    Args:
        num_classes: K.
        iou_calculator: Config or object; the measure of overlap.
        topk: Candidates of each level.

    Raises:
        ValueError: `topk` is less than 1.
    """

    def __init__(
        self,
        num_classes: int,
        iou_calculator: Mapping[str, Any] | IoUCalculator = {"type": "det.BboxOverlaps2D"},  # noqa: B006 (read only)
        *,
        topk: int = 9,
    ) -> None:
        super().__init__()
        if topk < 1:
            raise ValueError(f"topk is at least 1, not {topk}")
        self.num_classes = num_classes
        self.topk = topk
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
            pred_scores: Without effect.
            priors: (P, 4), points and strides, level by level.
            gt_labels: (B, G, 1).
            gt_bboxes: (B, G, 4) in pixels.
            pad_bbox_flag: (B, G, 1), 0 where a row is no object.

        Returns:
            See `batch_targets`.
        """
        candidates = self._candidates(priors, gt_bboxes)
        boxes = gt_bboxes[:, :, None].expand(*candidates.shape, 4)
        half = priors[:, 2:] * CELL / 2
        cells = torch.cat((priors[:, :2] - half, priors[:, :2] + half), dim=1)
        fits = self._overlaps(boxes, cells[candidates])
        thresholds = own_thresholds(fits.flatten(0, 1)).reshape(fits.shape[:2])
        inside = bbox2distance(priors[candidates], boxes).amin(dim=-1) > 0
        usable = (fits >= thresholds[..., None]) & inside & (pad_bbox_flag > 0)
        pairs = Pairs.of(candidates, usable, len(priors))
        owners = pairs.owners(fits[usable])
        pairs = pairs[owners[pairs.images, pairs.priors] == pairs.objects + 1]
        overlaps = self._overlaps(pred_bboxes[pairs.images, pairs.priors], gt_bboxes[pairs.images, pairs.objects])
        return batch_targets(owners, pairs.at_priors(overlaps), gt_labels, gt_bboxes, self.num_classes)

    def _candidates(self, priors: torch.Tensor, gt_bboxes: torch.Tensor) -> torch.Tensor:
        """Return the numbers (B, G, C) of the priors that are nearest to each object, `topk` of each level."""
        level_sizes: list[int] = priors[:, 2].unique_consecutive(return_counts=True)[1].tolist()
        count = sum(min(self.topk, size) for size in level_sizes)
        found = [torch.zeros(len(gt_bboxes), 0, count, dtype=torch.long, device=priors.device)]
        for part in object_slices(gt_bboxes, len(priors)):
            nearest, start = [], 0
            for level in centre_distances(priors, gt_bboxes[:, part]).split(level_sizes, dim=-1):
                size = level.shape[-1]
                nearest.append(level.topk(min(self.topk, size), dim=-1, largest=False).indices + start)
                start += size
            found.append(torch.cat(nearest, dim=-1))
        return torch.cat(found, dim=1)

    def _overlaps(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Return the overlaps (...) of boxes (..., 4) with those in the same places."""
        return self.iou_calculator(a.reshape(-1, 4), b.reshape(-1, 4), is_aligned=True).reshape(a.shape[:-1])

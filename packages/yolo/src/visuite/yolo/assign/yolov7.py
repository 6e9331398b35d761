"""Objects to those anchors, among the ones of like sides, that predict them at the lowest cost. Wang et al., YOLOv7,
arXiv:2207.02696; the cost is SimOTA's, Ge et al., YOLOX, arXiv:2107.08430.

Shapes: B images, G objects of the image that has most, g objects of a slice, N objects of the batch, M matches, C
matches of the image that has most, K classes.
"""

from __future__ import annotations

import torch
from torch import nn

from visuite.cv.ops import bbox_overlaps
from visuite.det.assign.sim_ota_assigner import entropies
from visuite.yolo.assign.batch import object_slices, padded, scores_of_labels
from visuite.yolo.assign.matching import Contest, dynamic_k
from visuite.yolo.assign.ratio import Matches
from visuite.yolo.registry import TASK_UTILS

#: Added to overlaps before their logarithm.
EPS = 1e-8


@TASK_UTILS.register_module()
class BatchYOLOv7Assigner(nn.Module):
    """Choose among an image's matches by the sum of cross entropy and `-log(overlap)`; whom they were matched with does
    not matter any more.

    An object gets as many as its `candidate_topk` best overlaps add up to. Objects are looked at a slice at a time, and
    classes never make another dimension: memory is bound by a dozen matrices of 16 MiB.

    Args:
        candidate_topk: Overlaps that are added up.
        iou_weight: The weight of `-log(overlap)`.
        cls_weight: The weight of cross entropy.
    """

    def __init__(self, candidate_topk: int = 10, iou_weight: float = 3.0, *, cls_weight: float = 1.0) -> None:
        super().__init__()
        self.candidate_topk = candidate_topk
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight

    @torch.no_grad()
    def forward(
        self,
        matches: Matches,
        pred_bboxes: torch.Tensor,
        pred_scores: torch.Tensor,
        gt_labels: torch.Tensor,
        gt_bboxes: torch.Tensor,
        pad_bbox_flag: torch.Tensor,
    ) -> Matches:
        """Return the chosen ones of M matches, image by image, each with the object that it is for.

        Args:
            matches: An image's anchors may stand there several times.
            pred_bboxes: What is predicted at each, (M, 4) in pixels.
            pred_scores: (M, K), the root of class times objectness, 0 to 1.
            gt_labels: (B, G, 1).
            gt_bboxes: (B, G, 4) in pixels.
            pad_bbox_flag: (B, G, 1), 0 where a row is no object; objects are numbered by the others.
        """
        order = matches.images.argsort(stable=True)
        matches, absent_present = matches[order], torch.cat(entropies(pred_scores[order]), dim=1)
        rows, usable = padded(matches.images, torch.cat([pred_bboxes[order], absent_present], dim=1), len(gt_bboxes))
        boxes, absent, present = rows.split([4, 1, rows.shape[2] - 5], dim=2)
        contest = Contest(usable.shape, usable.device)
        for part in object_slices(gt_bboxes, usable.shape[1]):
            overlaps = bbox_overlaps(gt_bboxes[:, part], boxes)
            entropy = absent.transpose(1, 2) + scores_of_labels(present, gt_labels[:, part, 0].long())
            costs = self.cls_weight * entropy - self.iou_weight * (overlaps + EPS).log()
            costs = costs.masked_fill(~(usable[:, None] & (pad_bbox_flag[:, part] > 0)), torch.inf)
            contest.update(*dynamic_k(costs, overlaps, usable[:, None], self.candidate_topk), -costs, part.start)
        owners = contest.owners()[usable]
        counts = (pad_bbox_flag[..., 0] > 0).sum(dim=1)
        objects = (counts.cumsum(0) - counts)[matches.images] + owners - 1
        return Matches(matches.images, matches.priors, objects, matches.levels)[owners > 0]

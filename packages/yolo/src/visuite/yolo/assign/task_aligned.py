"""Objects to the priors that predict them best, in class and in box. Feng et al., TOOD, arXiv:2108.07755.

Shapes: B images, P priors, G objects of the image that has most, g objects of a slice, M pairs, K
classes.
"""

from __future__ import annotations

import torch
from torch import nn

from visuite.cv.ops import bbox_overlaps
from visuite.yolo.assign.batch import Pairs, batch_targets, inside_boxes, object_slices, scores_of_labels
from visuite.yolo.assign.matching import Contest
from visuite.yolo.registry import TASK_UTILS


@TASK_UTILS.register_module()
class BatchTaskAlignedAssigner(nn.Module):
    """An object gets the priors of greatest `score ** alpha * overlap ** beta` among those inside it.

    A prior that several objects want goes to the one that it overlaps most, be it one of them or not. Its score shall
    be its alignment, in parts of the best alignment of the object, times the best overlap of the object. Objects are
    looked at a slice at a time: memory is bound by a dozen matrices of 16 MiB.

    Args:
        num_classes: K.
        topk: Priors that an object gets at most.
        alpha: The exponent of the score.
        beta: The exponent of the overlap.
        eps: Added to the best alignment before it divides.
        use_ciou: Overlap is CIoU, where it is positive; else IoU.

    Raises:
        ValueError: `topk` is less than 1.
    """

    def __init__(
        self,
        num_classes: int,
        topk: int = 13,
        *,
        alpha: float = 1.0,
        beta: float = 6.0,
        eps: float = 1e-7,
        use_ciou: bool = False,
    ) -> None:
        super().__init__()
        if topk < 1:
            raise ValueError(f"topk is at least 1, not {topk}")
        self.num_classes = num_classes
        self.topk = topk
        self.alpha, self.beta = alpha, beta
        self.eps = eps
        self.use_ciou = use_ciou

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
            pred_scores: (B, P, K) after the sigmoid.
            priors: (P, 4), points and strides.
            gt_labels: (B, G, 1).
            gt_bboxes: (B, G, 4) in pixels.
            pad_bbox_flag: (B, G, 1), 0 where a row is no object.

        Returns:
            See `batch_targets`.
        """
        labels, num_priors = gt_labels[..., 0].long(), len(priors)
        contest = Contest((len(labels), num_priors), labels.device)
        for part in object_slices(gt_bboxes, num_priors):
            boxes, valid = gt_bboxes[:, part], pad_bbox_flag[:, part] > 0
            overlaps = self._overlaps(boxes, pred_bboxes)
            metrics = self._alignment(scores_of_labels(pred_scores, labels[:, part]), overlaps)
            best = (metrics * inside_boxes(priors, boxes)).topk(min(self.topk, num_priors), dim=-1)
            wanted = (best.values > 0) & valid
            contest.update(best.indices, wanted, overlaps.masked_fill(~valid, -torch.inf), part.start)
        owners = contest.owners()
        pairs = Pairs.owned(owners, gt_bboxes.shape[1])
        overlaps = self._overlaps_of(pairs, pred_bboxes, gt_bboxes)
        scores = pred_scores[pairs.images, pairs.priors, labels[pairs.images, pairs.objects]]
        metrics = self._alignment(scores, overlaps)
        fits = metrics / (pairs.most_of_objects(metrics) + self.eps) * pairs.most_of_objects(overlaps)
        return batch_targets(owners, pairs.at_priors(fits), gt_labels, gt_bboxes, self.num_classes)

    def _alignment(self, scores: torch.Tensor, overlaps: torch.Tensor) -> torch.Tensor:
        return scores.to(overlaps) ** self.alpha * overlaps**self.beta

    def _overlaps(self, boxes: torch.Tensor, predicted: torch.Tensor, is_aligned: bool = False) -> torch.Tensor:
        """Return how much boxes (..., g, 4) overlap predicted ones (..., P, 4), not below 0: (..., g, P)."""
        mode = "ciou" if self.use_ciou else "iou"
        return bbox_overlaps(boxes, predicted, mode, is_aligned, eps=1e-7, aspect_always=True).clamp(min=0)

    def _overlaps_of(self, pairs: Pairs, pred_bboxes: torch.Tensor, gt_bboxes: torch.Tensor) -> torch.Tensor:
        """Return the overlaps (M,) of pairs."""
        boxes, predicted = gt_bboxes[pairs.images, pairs.objects], pred_bboxes[pairs.images, pairs.priors]
        return self._overlaps(boxes, predicted, is_aligned=True)

"""The priors that are hardest to classify. Shrivastava et al., Online Hard Example Mining, arXiv:1604.03540.

Shapes: N priors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F

from visuite.cv.ops import full_precision
from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.base import BaseSampler


class RegionHead(Protocol):
    """What is asked of a head of regions, or of one stage of a cascade.

    Attributes:
        bbox_head: Its box head, with `num_classes` and the loss that counts.
    """

    bbox_head: Any

    def bbox_forward(self, x: Sequence[torch.Tensor], rois: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the scores (N, K + 1) of regions (N, 5), before anything else."""


@TASK_UTILS.register_module()
class OHEMSampler(BaseSampler):
    """Choose the priors of greatest loss, of objects and of background.

    Args:
        num: How many priors to choose.
        pos_fraction: The part of them that may belong to objects.
        context: The head that the sampler works for, a `RegionHead`.
        neg_pos_ub: Background priors to each of an object at most; less than 0: any number.
        add_gt_as_proposals: Put the objects' own boxes before the priors.
        loss_key: Which loss of the box head counts.
    """

    context: RegionHead

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        *,
        context: RegionHead,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        loss_key: str = "loss_cls",
    ) -> None:
        super().__init__(
            num, pos_fraction, neg_pos_ub=neg_pos_ub, add_gt_as_proposals=add_gt_as_proposals, context=context
        )
        self.loss_key = loss_key

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        priors = assign_result.pos_inds
        return self._hardest(priors, assign_result.labels[priors], num_expected, **kwargs)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        return self._hardest(assign_result.neg_inds, None, num_expected, **kwargs)

    def _hardest(
        self,
        inds: torch.Tensor,
        labels: torch.Tensor | None,
        num: int,
        *,
        priors: torch.Tensor,
        feats: Sequence[torch.Tensor],
        **kwargs: Any,
    ) -> torch.Tensor:
        if len(inds) <= num:
            return inds
        head = self.context.bbox_head
        if labels is None:
            labels = torch.full_like(inds, head.num_classes)
        with torch.no_grad():
            rois = F.pad(priors[inds], (1, 0))  # of image 0, the only one
            scores = full_precision(self.context.bbox_forward(feats, rois)[0])
            losses = getattr(head, self.loss_key)(scores, labels, reduction_override="none")
        return inds[losses.reshape(len(inds), -1).sum(dim=1).topk(num).indices]

"""The priors that are hardest to classify. Shrivastava et al., Online Hard Example Mining, arXiv:1604.03540.

Shapes: N priors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.base import BaseSampler


class ProposalJudge(Protocol):
    """A head that tells what each proposal costs."""

    def proposal_losses(
        self, feats: Sequence[torch.Tensor], boxes: torch.Tensor, labels: torch.Tensor | None, key: str
    ) -> torch.Tensor:
        """Return the loss (N,) called `key` of boxes (N, 4) of one image, labels (N,) being None for background.

        Args:
            feats: (1, C, h, w) of each level.
            boxes: (N, 4).
            labels: (N,), or None where all are background.
            key: The name of the loss, `loss_cls`.
        """


@TASK_UTILS.register_module()
class OHEMSampler(BaseSampler):
    """Choose the priors of greatest loss, of objects and of background.

    Args:
        num: How many priors to choose.
        pos_fraction: The part of them that may belong to objects.
        context: The head that the sampler works for, a `ProposalJudge`.
        neg_pos_ub: Background priors to each of an object at most; less than 0: any number.
        add_gt_as_proposals: Put the objects' own boxes before the priors.
        loss_key: Which loss of the head counts.
    """

    context: ProposalJudge

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        *,
        context: ProposalJudge,
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
        with torch.no_grad():
            losses = self.context.proposal_losses(feats, priors[inds], labels, self.loss_key)
        return inds[losses.topk(num).indices]

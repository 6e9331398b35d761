"""Background of all overlaps, not only of the many priors that overlap nothing. Pang et al., Libra R-CNN,
arXiv:1904.02701.

Shapes: M priors that are background.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.base import BaseSampler, random_choice, top_up


@TASK_UTILS.register_module()
class IoUBalancedNegSampler(BaseSampler):
    """Draw background from bins of overlap, the same number from each; priors of objects by chance.

    Args:
        num: How many priors to choose.
        pos_fraction: The part of them that may belong to objects.
        floor_thr: Priors that overlap less than this (with 0: nothing) are drawn apart from the bins; less than 0:
            none.
        floor_fraction: Which part of the background is drawn from those.
        num_bins: How many bins there are above.
        neg_pos_ub: Background priors to each of an object at most; less than 0: any number.
        add_gt_as_proposals: Put the objects' own boxes before the priors.
        context: The head that the sampler works for.

    Raises:
        ValueError: a fraction outside [0, 1], or no bins.
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        *,
        floor_thr: float = -1,
        floor_fraction: float = 0,
        num_bins: int = 3,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        context: Any = None,
    ) -> None:
        super().__init__(
            num, pos_fraction, neg_pos_ub=neg_pos_ub, add_gt_as_proposals=add_gt_as_proposals, context=context
        )
        if not 0 <= floor_fraction <= 1:
            raise ValueError(f"floor_fraction is a part, from 0 to 1, not {floor_fraction}")
        if num_bins < 1:
            raise ValueError(f"num_bins is at least 1, not {num_bins}")
        self.floor_thr = floor_thr
        self.floor_fraction = floor_fraction
        self.num_bins = num_bins

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        return random_choice(assign_result.pos_inds, num_expected)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        """Return the numbers (M,) of background priors.

        Raises:
            ValueError: the assigner does not measure overlaps.
        """
        priors = assign_result.neg_inds
        if len(priors) <= num_expected:
            return priors
        if assign_result.max_overlaps is None:
            raise ValueError("IoUBalancedNegSampler needs an assigner that tells max_overlaps")
        overlaps = assign_result.max_overlaps[priors]
        low = overlaps < self.floor_thr if self.floor_thr != 0 else overlaps == 0
        from_bins = self._from_bins(priors[~low], overlaps[~low], round(num_expected * (1 - self.floor_fraction)))
        from_floor = random_choice(priors[low], num_expected - len(from_bins))
        return top_up(torch.cat((from_bins, from_floor)), priors, num_expected)

    def _from_bins(self, priors: torch.Tensor, overlaps: torch.Tensor, num: int) -> torch.Tensor:
        """Draw `num` priors, the same number of each bin as far as it has them, and the rest of any."""
        if len(priors) <= num:
            return priors
        start = max(self.floor_thr, 0)
        width = ((overlaps.max() - start) / self.num_bins).clamp(min=torch.finfo(overlaps.dtype).tiny)
        bins = ((overlaps - start) / width).long().clamp(max=self.num_bins - 1)
        chosen = [random_choice(priors[bins == number], num // self.num_bins) for number in range(self.num_bins)]
        return top_up(torch.cat(chosen), priors, num)

"""As many priors from each object as from the others. Pang et al., Libra R-CNN, arXiv:1904.02701."""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.base import BaseSampler, random_choice, top_up


@TASK_UTILS.register_module()
class InstanceBalancedPosSampler(BaseSampler):
    """Draw the same number of priors of each object, the rest and background by chance. Arguments as of
    `BaseSampler`.
    """

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        priors = assign_result.pos_inds
        if len(priors) <= num_expected:
            return priors
        shuffled = priors[torch.randperm(len(priors), device=priors.device)]
        owners = assign_result.gt_inds[shuffled]
        num_objects = len(owners.unique())
        fair = shuffled[rank_in_group(owners) < round(num_expected / num_objects) + 1]
        return top_up(random_choice(fair, num_expected), priors, num_expected)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        return random_choice(assign_result.neg_inds, num_expected)


def rank_in_group(groups: torch.Tensor) -> torch.Tensor:
    """Return how many elements of the same group (N,) stand before each: (N,)."""
    order = groups.argsort(stable=True)
    counts = torch.unique_consecutive(groups[order], return_counts=True)[1]
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    places = torch.arange(len(groups), device=groups.device)
    return torch.empty_like(places).index_put((order,), places - starts)

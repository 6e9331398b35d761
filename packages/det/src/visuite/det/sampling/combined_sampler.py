"""Priors of objects by one rule, background by another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.base import BaseSampler


@TASK_UTILS.register_module()
class CombinedSampler(BaseSampler):
    """Ask one sampler for the priors of objects, and another for background.

    Args:
        pos_sampler: Config or object; what it lacks of the other arguments is as here.
        neg_sampler: The same.
        num: How many priors to choose.
        pos_fraction: The part of them that may belong to objects.
        neg_pos_ub: Background priors to each of an object at most; less than 0: any number.
        add_gt_as_proposals: Put the objects' own boxes before the priors.
        context: The head that the sampler works for.
    """

    def __init__(
        self,
        pos_sampler: Mapping[str, Any] | BaseSampler,
        neg_sampler: Mapping[str, Any] | BaseSampler,
        *,
        num: int,
        pos_fraction: float,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        context: Any = None,
    ) -> None:
        shared: dict[str, Any] = {
            "neg_pos_ub": neg_pos_ub,
            "add_gt_as_proposals": add_gt_as_proposals,
            "context": context,
        }
        super().__init__(num, pos_fraction, **shared)
        shared |= {"num": num, "pos_fraction": pos_fraction}
        self.pos_sampler: BaseSampler = TASK_UTILS.build(pos_sampler, default_args=shared)
        self.neg_sampler: BaseSampler = TASK_UTILS.build(neg_sampler, default_args=shared)

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        return self.pos_sampler._sample_pos(assign_result, num_expected, **kwargs)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        return self.neg_sampler._sample_neg(assign_result, num_expected, **kwargs)

"""Priors by chance, so that background does not outweigh objects. Girshick, Fast R-CNN, arXiv:1504.08083."""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.base import BaseSampler, random_choice


@TASK_UTILS.register_module()
class RandomSampler(BaseSampler):
    """Draw both kinds. Arguments as of `BaseSampler`."""

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        return random_choice(assign_result.pos_inds, num_expected)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        return random_choice(assign_result.neg_inds, num_expected)

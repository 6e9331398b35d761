"""All priors, for losses that weigh them themselves.

Shapes: P priors, G objects of one image.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.result import SamplingResult
from visuite.engine.structures import InstanceData


@TASK_UTILS.register_module()
class PseudoSampler:
    """Choose everything that belongs to an object or is background; `avg_factor` counts the former.

    Args:
        context: The head that the sampler works for.
    """

    def __init__(self, context: Any = None) -> None:
        self.context = context

    def sample(
        self, assign_result: AssignResult, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs: Any
    ) -> SamplingResult:
        """Choose all.

        Args:
            assign_result: Which object each prior belongs to.
            pred_instances: `priors` (P, ...).
            gt_instances: `bboxes` (G, 4).
            kwargs: Without effect.
        """
        priors = pred_instances.priors
        return SamplingResult(
            assign_result.pos_inds,
            assign_result.neg_inds,
            priors=priors,
            gt_bboxes=gt_instances.bboxes,
            assign_result=assign_result,
            gt_flags=torch.zeros(len(priors), dtype=torch.uint8, device=priors.device),
            avg_factor_with_neg=False,
        )

"""All queries that predict masks.

Shapes: P queries, G objects of one image, N queries that stand for objects, M that do not.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.det.assign import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.det.sampling.result import Choice
from visuite.engine.structures import InstanceData


class MaskSamplingResult(Choice):
    """The queries that were chosen, and the masks that they stand for.

    Args:
        pos_inds: (N,) long, the queries that stand for objects.
        neg_inds: (M,) long, the others.
        masks: (P, h, w), predicted.
        gt_masks: (G, h, w).
        assign_result: Which object each query stands for.
        avg_factor_with_neg: Whether the others count in `avg_factor`.

    Attributes:
        pos_masks: (N, h, w), predicted.
        neg_masks: (M, h, w), predicted.
        pos_gt_masks: (N, h, w), each one's object.
    """

    def __init__(
        self,
        pos_inds: torch.Tensor,
        neg_inds: torch.Tensor,
        *,
        masks: torch.Tensor,
        gt_masks: torch.Tensor,
        assign_result: AssignResult,
        avg_factor_with_neg: bool = False,
    ) -> None:
        super().__init__(pos_inds, neg_inds, assign_result=assign_result, avg_factor_with_neg=avg_factor_with_neg)
        self.pos_masks = masks[pos_inds]
        self.neg_masks = masks[neg_inds]
        self.pos_gt_masks = gt_masks[self.pos_assigned_gt_inds]

    @property
    def masks(self) -> torch.Tensor:
        """The predicted masks (N + M, h, w), those that stand for objects first."""
        return torch.cat((self.pos_masks, self.neg_masks))


@TASK_UTILS.register_module()
class MaskPseudoSampler:
    """Choose all queries; `avg_factor` counts those that stand for objects.

    Args:
        context: The head that the sampler works for.
    """

    def __init__(self, context: Any = None) -> None:
        self.context = context

    def sample(
        self, assign_result: AssignResult, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs: Any
    ) -> MaskSamplingResult:
        """Choose all.

        Args:
            assign_result: Which object each query stands for.
            pred_instances: `masks` (P, h, w).
            gt_instances: `masks` (G, h, w), a tensor.
            kwargs: Without effect.
        """
        return MaskSamplingResult(
            assign_result.pos_inds,
            assign_result.neg_inds,
            masks=pred_instances.masks,
            gt_masks=gt_instances.masks,
            assign_result=assign_result,
        )

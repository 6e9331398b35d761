"""Each object to one query, such that the sum of costs is least. Carion et al., DETR, arXiv:2005.12872.

Shapes: P queries, G objects of one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from visuite.det.assign.costs import BaseMatchCost
from visuite.det.assign.result import AssignResult
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

Cfg = Mapping[str, Any]
#: What a cost that is no number, or endless, counts for.
WORST = 1e8


@TASK_UTILS.register_module()
class HungarianAssigner:
    """Match by the least sum of costs; queries that are left over are background.

    Args:
        match_costs: Configs or objects, one or several: their sum counts. Each returns (P, G).

    Raises:
        ValueError: no costs.
    """

    def __init__(self, match_costs: Cfg | BaseMatchCost | Sequence[Cfg | BaseMatchCost]) -> None:
        several = match_costs if isinstance(match_costs, Sequence) else [match_costs]
        if not several:
            raise ValueError("HungarianAssigner needs at least one cost in match_costs")
        self.match_costs = [TASK_UTILS.build(one) for one in several]

    @torch.no_grad()
    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        img_meta: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Match the queries of one image.

        Args:
            pred_instances: What the costs need of the queries: `scores`, `bboxes`, `masks`.
            gt_instances: `labels` (G,), and what the costs need.
            img_meta: `img_shape`, for costs that need it.
            kwargs: Without effect.

        Returns:
            Without `max_overlaps`.
        """
        from scipy.optimize import linear_sum_assignment  # slow to import

        labels = gt_instances.labels
        gt_inds = torch.zeros(len(pred_instances), dtype=torch.long, device=labels.device)
        if len(labels) and len(pred_instances):
            costs = [cost(pred_instances, gt_instances, img_meta) for cost in self.match_costs]
            total = torch.stack(costs).sum(dim=0)
            # mixed precision overflows now and then, and skips the step; the match must not end the run before that
            total = total.float().nan_to_num(WORST, WORST, -WORST).cpu()
            rows, columns = (torch.from_numpy(side).to(labels.device) for side in linear_sum_assignment(total.numpy()))
            gt_inds[rows] = columns + 1
        return AssignResult.of(gt_inds, labels)

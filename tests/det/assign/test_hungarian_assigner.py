"""HungarianAssigner against all permutations."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import random_boxes, random_tensor
from tests.det.assign.instances import CLASSES, objects
from visuite.det.assign import HungarianAssigner
from visuite.det.registry import TASK_UTILS
from visuite.engine.structures import InstanceData

COSTS = [
    {"type": "ClassificationCost", "weight": 1.0},
    {"type": "BBoxL1Cost", "weight": 5.0, "box_format": "xywh"},
    {"type": "IoUCost", "iou_mode": "giou", "weight": 2.0},
]
META = {"img_shape": (48, 64)}


def queries(count, seed=0):
    return InstanceData(
        bboxes=random_boxes(count, size=64, seed=seed), scores=random_tensor(count, CLASSES + 1, seed=seed)
    )


@given(seed=st.integers(0, 10**6), count=st.integers(1, 4), number=st.integers(1, 4))
def test_the_sum_of_costs_is_least(seed, count, number):
    asked, truth = queries(count, seed), objects(number, seed + 1)
    found = HungarianAssigner(COSTS).assign(asked, truth, META)
    total = sum(TASK_UTILS.build(one)(asked, truth, META) for one in COSTS)
    fewer = min(count, number)
    if count >= number:
        least = min(sum(total[p, g] for g, p in enumerate(order)) for order in permutations(range(count), number))
    else:
        least = min(sum(total[p, g] for p, g in enumerate(order)) for order in permutations(range(number), count))
    matched = [(p, owner - 1) for p, owner in enumerate(found.gt_inds.tolist()) if owner]
    assert len({g for _, g in matched}) == len(matched) == fewer
    assert sum(total[p, g] for p, g in matched).item() == pytest.approx(least.item(), rel=1e-5)
    assert found.labels.tolist() == [
        truth.labels[owner - 1].item() if owner else -1 for owner in found.gt_inds.tolist()
    ]
    assert found.max_overlaps is None


def test_one_cost_suffices():
    asked, truth = queries(5), objects(2)
    assert HungarianAssigner(COSTS[0]).assign(asked, truth).num_gts == 2
    built = TASK_UTILS.build(COSTS[0])
    listed = HungarianAssigner([built]).assign(asked, truth)
    assert torch.equal(listed.gt_inds, HungarianAssigner(built).assign(asked, truth).gt_inds)
    with pytest.raises(ValueError, match="at least one cost"):
        HungarianAssigner([])


@pytest.mark.parametrize(("count", "number"), [(5, 0), (0, 3), (0, 0)])
def test_empty(count, number):
    found = HungarianAssigner(COSTS).assign(queries(count), objects(number), META)
    assert found.gt_inds.tolist() == [0] * count
    assert found.labels.tolist() == [-1] * count


def test_overflow_does_not_end_the_run():
    asked, truth = queries(6), objects(3)
    asked.scores[2] = torch.nan
    asked.scores[4, 1] = torch.inf
    found = HungarianAssigner(COSTS[0]).assign(asked, truth)
    assert sorted(found.gt_inds.tolist())[-3:] == [1, 2, 3]
    assert found.gt_inds[2] == 0

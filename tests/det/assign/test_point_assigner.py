"""PointAssigner by the rules of RepPoints, loop by loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.det.assign.instances import centre, objects, points
from visuite.det.assign import PointAssigner
from visuite.engine.structures import InstanceData


def plain_points(priors, boxes, scale, number):
    levels = [int(math.log2(row[2])) for row in priors]
    nearest = {}
    for g, box in enumerate(boxes):
        (x, y), w, h = centre(box), box[2] - box[0], box[3] - box[1]
        level = int((math.log2(w / scale) + math.log2(h / scale)) / 2)
        level = min(max(level, min(levels)), max(levels))
        away = {p: math.hypot((row[0] - x) / w, (row[1] - y) / h) for p, row in enumerate(priors) if levels[p] == level}
        order = sorted(away, key=away.__getitem__)
        # Of two points equally far away, rounding decides which is the last that counts.
        assume(len(order) <= number or away[order[number]] - away[order[number - 1]] > 1e-5)
        for p in order[:number]:
            if away[p] < nearest.get(p, (math.inf, 0))[0]:
                nearest[p] = away[p], g + 1
    return [nearest.get(p, (0, 0))[1] for p in range(len(priors))]


@given(seed=st.integers(0, 10**6), count=st.integers(1, 8), number=st.sampled_from([1, 3, 10]))
def test_by_plain_loops(seed, count, number):
    priors, truth = points(), objects(count, seed)
    found = PointAssigner(scale=4, pos_num=number).assign(InstanceData(priors=priors[:, :3]), truth)
    assert found.gt_inds.tolist() == plain_points(priors.tolist(), truth.bboxes.tolist(), 4, number)


@pytest.mark.parametrize(("count", "number"), [(0, 3), (84, 0), (0, 0)])
def test_empty(count, number):
    found = PointAssigner().assign(InstanceData(priors=points()[:count]), objects(number))
    assert found.gt_inds.tolist() == [0] * count
    assert found.labels.tolist() == [-1] * count


def test_an_object_without_area():
    truth = InstanceData(bboxes=torch.tensor([[20.0, 20, 20, 20]]), labels=torch.tensor([1]))
    found = PointAssigner(pos_num=1).assign(InstanceData(priors=points()), truth)
    assert found.gt_inds.tolist().count(1) == 1

"""GridAssigner by the rules of YOLOv3, loop by loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.det.assign.instances import LEVELS, STRIDES, objects
from visuite.cv.ops import bbox_overlaps
from visuite.det.assign import GridAssigner
from visuite.det.boxes import YOLOAnchorGenerator
from visuite.engine.structures import InstanceData


def plain_grid(overlaps, responsible, positive, negative, least, every):
    low, high = negative if isinstance(negative, tuple) else (-1.0, negative)
    found = []
    for p, held in enumerate(responsible):
        column = [row[p] for row in overlaps]
        best = max(column)
        owner = 0 if low < best <= high else -1
        found.append(column.index(best) + 1 if held and best > positive else owner)
    for g, row in enumerate(overlaps):
        best = max((value for value, held in zip(row, responsible, strict=True) if held), default=0)
        if best > least and best > 0:
            equal = [p for p, held in enumerate(responsible) if held and row[p] == best]
            for p in equal if every else equal[:1]:
                found[p] = g + 1
    return found


@pytest.mark.parametrize("negative", [0.5, (0.1, 0.5)])
@pytest.mark.parametrize("every", [True, False])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6), least=st.sampled_from([0.0, 0.3]))
def test_by_plain_loops(negative, every, seed, count, least):
    generator = YOLOAnchorGenerator(STRIDES, [[(10, 13), (16, 30)], [(30, 61), (62, 45)], [(50, 40), (60, 60)]])
    priors, truth = torch.cat(generator.grid_priors(LEVELS)), objects(count, seed)
    flags = torch.cat(generator.responsible_flags(LEVELS, truth.bboxes))
    assigner = GridAssigner(0.5, negative, min_pos_iou=least, gt_max_assign_all=every)
    found = assigner.assign(InstanceData(priors=priors, responsible_flags=flags), truth)
    overlaps = bbox_overlaps(truth.bboxes, priors)
    want = plain_grid(overlaps.tolist(), flags.tolist(), 0.5, negative, least, every)
    assert found.gt_inds.tolist() == want
    torch.testing.assert_close(found.max_overlaps, torch.where(flags, overlaps.amax(0), -1))


@pytest.mark.parametrize(("count", "number"), [(0, 3), (5, 0), (0, 0)])
def test_empty(count, number):
    predicted = InstanceData(priors=torch.zeros(count, 4), responsible_flags=torch.ones(count, dtype=torch.uint8))
    found = GridAssigner(0.5, 0.5).assign(predicted, objects(number))
    assert found.gt_inds.tolist() == [0] * count
    assert found.labels.tolist() == [-1] * count

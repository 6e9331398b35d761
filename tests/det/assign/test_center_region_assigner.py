"""CenterRegionAssigner by the rules of arXiv:1903.00621, loop by loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.det.assign.instances import anchors, centre, inside, objects
from visuite.det.assign import CenterRegionAssigner
from visuite.engine.structures import InstanceData


def scaled(box, scale):
    (x, y), w, h = centre(box), (box[2] - box[0]) * scale / 2, (box[3] - box[1]) * scale / 2
    return x - w, y - h, x + w, y + h


def reaches(prior, region):
    wide = max(0, min(prior[2], region[2]) - max(prior[0], region[0]))
    high = max(0, min(prior[3], region[3]) - max(prior[1], region[1]))
    return wide * high / ((prior[2] - prior[0]) * (prior[3] - prior[1])) > 0.01


@pytest.mark.parametrize("dominate", [True, False])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6))
def test_by_plain_loops(dominate, seed, count):
    priors, truth, crowd = anchors()[0].double(), objects(count, seed), objects(1, seed + 1)
    truth.bboxes, crowd.bboxes = truth.bboxes.double(), crowd.bboxes.double()
    assigner = CenterRegionAssigner(0.2, 0.5, foreground_dominate=dominate)
    found = assigner.assign(InstanceData(priors=priors), truth, crowd)
    boxes, labels = truth.bboxes.tolist(), truth.labels.tolist()
    order = sorted(range(count), key=lambda g: (boxes[g][2] - boxes[g][0]) * (boxes[g][3] - boxes[g][1]))
    want, shadows = [], set()
    for p, prior in enumerate(priors.tolist()):
        core = [g for g in order if inside(*centre(prior), boxes[g]) and reaches(prior, scaled(boxes[g], 0.2))]
        shadow = [g for g in order if g not in core and reaches(prior, scaled(boxes[g], 0.5))]
        want.append(core[0] + 1 if core else 0)
        if core and shadow and not dominate:
            want[-1] = -1
        if inside(*centre(prior), scaled(crowd.bboxes[0].tolist(), 0.5)):
            want[-1] = -1
        shadows |= {(p, labels[g]) for g in shadow + core[1:]}
    assert found.gt_inds.tolist() == want
    assert {tuple(pair) for pair in found.get_extra_property("shadowed_labels").tolist()} == shadows


@pytest.mark.parametrize(("count", "number"), [(0, 3), (84, 0), (0, 0)])
def test_empty(count, number):
    found = CenterRegionAssigner(0.2, 0.2).assign(InstanceData(priors=anchors()[0][:count]), objects(number))
    assert found.gt_inds.tolist() == [0] * count
    assert found.get_extra_property("shadowed_labels").shape == (0, 2)
    assert found.get_extra_property("shadowed_labels").dtype == torch.long


def test_the_core_lies_in_the_shadow():
    with pytest.raises(ValueError, match=r"pos_scale 0\.5 <= neg_scale 0\.2"):
        CenterRegionAssigner(0.5, 0.2)

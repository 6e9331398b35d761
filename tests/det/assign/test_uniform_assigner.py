"""UniformAssigner by the rules of arXiv:2103.09460, loop by loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou
from tests.det.assign.instances import anchors, centre, guesses, objects
from visuite.det.assign import UniformAssigner
from visuite.engine.structures import InstanceData


def apart(a, b):
    sizes = abs((a[2] - a[0]) - (b[2] - b[0])) + abs((a[3] - a[1]) - (b[3] - b[1]))
    return sizes + sum(abs(p - q) for p, q in zip(centre(a), centre(b), strict=True))


@given(seed=st.integers(0, 10**6), count=st.integers(1, 6))
def test_by_plain_loops(seed, count):
    truth = objects(count, seed)
    noise = torch.randn(84, 4, generator=torch.Generator().manual_seed(seed))
    priors = anchors()[0] + noise  # on a grid, some are equally near
    priors = priors.double()
    predicted = guesses(priors.float(), truth, seed)[0].double().requires_grad_()
    truth.bboxes = truth.bboxes.double()
    found = UniformAssigner(0.15, 0.7, match_times=3).assign(
        InstanceData(priors=priors, decoder_priors=predicted), truth
    )
    rows, boxes, guessed = priors.tolist(), truth.bboxes.tolist(), predicted.tolist()
    want = [-1 if max(plain_iou(one, box) for box in boxes) > 0.7 else 0 for one in guessed]
    pairs = []
    for source in (guessed, rows):
        near = [sorted(range(len(rows)), key=lambda p: apart(source[p], box))[:3] for box in boxes]
        pairs += [(near[g][rank], g) for rank in range(3) for g in range(count)]
    counts = [plain_iou(rows[p], boxes[g]) >= 0.15 for p, g in pairs]
    for (p, g), good in zip(pairs, counts, strict=True):
        want[p] = g + 1 if good else -1
    assert found.gt_inds.tolist() == want
    assert found.get_extra_property("pos_idx").tolist() == counts
    assert torch.equal(found.get_extra_property("pos_predicted_boxes"), predicted[[p for p, _ in pairs]])
    assert torch.equal(found.get_extra_property("target_boxes"), truth.bboxes[[g for _, g in pairs]])
    overlaps = [max(plain_iou(row, box) for box in boxes) for row in rows]
    assert found.max_overlaps.tolist() == pytest.approx(overlaps, abs=1e-6)
    found.get_extra_property("pos_predicted_boxes").sum().backward()
    assert predicted.grad.abs().sum() > 0


@pytest.mark.parametrize(("count", "number"), [(0, 3), (84, 0), (0, 0)])
def test_empty(count, number):
    priors = anchors()[0][:count]
    predicted = InstanceData(priors=priors, decoder_priors=priors)
    found = UniformAssigner(0.15, 0.7).assign(predicted, objects(number))
    assert found.gt_inds.tolist() == [0] * count
    assert found.get_extra_property("pos_predicted_boxes").shape == (0, 4)
    assert found.get_extra_property("target_boxes").shape == (0, 4)

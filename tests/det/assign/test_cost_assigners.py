"""SimOTAAssigner against arXiv:2107.08430 and DynamicSoftLabelAssigner against arXiv:2212.07784, loop by loop."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou
from tests.det.assign.instances import centre, guesses, inside, objects, points
from visuite.det.assign import DynamicSoftLabelAssigner, SimOTAAssigner
from visuite.engine.structures import InstanceData

SEEDS = st.integers(0, 10**6)


def plain_matching(costs, overlaps, topk):
    """Dynamic k of costs[prior][object]: as many of the cheapest as the best overlaps add up to."""
    count = len(costs[0])
    wanting = [[] for _ in costs]
    for g in range(count):
        best = sorted((row[g] for row in overlaps), reverse=True)[:topk]
        number = max(1, int(sum(best)))
        for p in sorted(range(len(costs)), key=lambda p: costs[p][g])[:number]:
            wanting[p].append(g)
    cheapest = [min(range(count), key=row.__getitem__) for row in costs]
    return [
        0 if not own else (own[0] if len(own) == 1 else low) + 1 for own, low in zip(wanting, cheapest, strict=True)
    ]


def embed(valid, owners, count):
    found = [0] * count
    for p, owner in zip(valid, owners, strict=True):
        found[p] = owner
    return found


def image(seed, count, size=64):
    priors, truth = points().double(), objects(count, seed, size=size)
    boxes, logits = (one.double() for one in guesses(points(), truth, seed))
    truth.bboxes = truth.bboxes.double()
    return priors, truth, boxes, logits


def near_a_whole_number(overlaps, topk):
    """Whether rounding alone may decide how many priors an object gets."""
    sums = [sum(sorted(column, reverse=True)[:topk]) for column in zip(*overlaps, strict=True)]
    return any(abs(one - round(one)) < 1e-6 for one in sums)


@given(seed=SEEDS, count=st.integers(1, 8), radius=st.sampled_from([0.7, 2.5]))
def test_sim_ota_by_plain_loops(seed, count, radius):
    priors, truth, boxes, logits = image(seed, count)
    scores = logits.sigmoid()
    found = SimOTAAssigner(center_radius=radius, candidate_topk=5, iou_weight=2.0, cls_weight=1.5).assign(
        InstanceData(priors=priors, bboxes=boxes, scores=scores), truth
    )
    valid, costs, overlaps = [], [], []
    for p, (x, y, stride, _) in enumerate(priors.tolist()):
        within = [inside(x, y, box) for box in truth.bboxes.tolist()]
        close = []
        for box in truth.bboxes.tolist():
            across, down = centre(box)
            close.append(max(abs(x - across), abs(y - down)) < radius * stride)
        if not any(within + close):
            continue
        row, ious = [], []
        for g, box in enumerate(truth.bboxes.tolist()):
            target = F.one_hot(truth.labels[g], 4).double()
            entropy = F.binary_cross_entropy(scores[p].float(), target.float(), reduction="sum").item()
            ious.append(plain_iou(boxes[p].tolist(), box))
            far = 0 if within[g] and close[g] else 1e5
            row.append(1.5 * entropy - 2 * math.log(ious[-1] + 1e-7) + far)
        valid.append(p)
        costs.append(row)
        overlaps.append(ious)
    if not valid or near_a_whole_number(overlaps, 5):
        return
    assert found.gt_inds.tolist() == embed(valid, plain_matching(costs, overlaps, 5), len(priors))
    matched = found.gt_inds.tolist()
    want = [plain_iou(boxes[p].tolist(), truth.bboxes[g - 1].tolist()) if g else 0 for p, g in enumerate(matched)]
    assert found.max_overlaps.tolist() == pytest.approx(want)


@given(seed=SEEDS, count=st.integers(1, 8))
def test_soft_labels_by_plain_loops(seed, count):
    priors, truth, boxes, logits = image(seed, count)
    found = DynamicSoftLabelAssigner(soft_center_radius=2.0, topk=6, iou_weight=2.0).assign(
        InstanceData(priors=priors, bboxes=boxes, scores=logits), truth
    )
    valid, costs, overlaps = [], [], []
    for p, (x, y, stride, _) in enumerate(priors.tolist()):
        if not any(inside(x, y, box) for box in truth.bboxes.tolist()):
            continue
        row, ious = [], []
        for g, box in enumerate(truth.bboxes.tolist()):
            ious.append(plain_iou(boxes[p].tolist(), box))
            target = F.one_hot(truth.labels[g], 4) * ious[-1]
            entropy = F.binary_cross_entropy_with_logits(logits[p], target.double(), reduction="none")
            soft = (entropy * (target - logits[p].sigmoid()).abs() ** 2).sum().item()
            away = math.dist((x, y), centre(box)) / stride
            row.append(soft - 2 * math.log(ious[-1] + 1e-7) + 10 ** (away - 2.0))
        valid.append(p)
        costs.append(row)
        overlaps.append(ious)
    if not valid or near_a_whole_number(overlaps, 6):
        return
    assert found.gt_inds.tolist() == embed(valid, plain_matching(costs, overlaps, 6), len(priors))


@pytest.mark.parametrize("kind", [SimOTAAssigner, DynamicSoftLabelAssigner])
@pytest.mark.parametrize(("count", "number"), [(0, 3), (84, 0), (0, 0)])
def test_empty(kind, count, number):
    priors = points()[:count]
    predicted = InstanceData(priors=priors, bboxes=priors, scores=torch.full((count, 4), 0.5))
    found = kind().assign(predicted, objects(number))
    assert found.gt_inds.tolist() == [0] * count
    assert found.max_overlaps.tolist() == [0] * count


@pytest.mark.parametrize("kind", [SimOTAAssigner, DynamicSoftLabelAssigner])
def test_no_prior_near_any_object(kind):
    priors = points()
    predicted = InstanceData(priors=priors, bboxes=priors, scores=torch.full((84, 4), 0.5))
    truth = InstanceData(bboxes=torch.tensor([[9000.0, 9000, 9001, 9001]]), labels=torch.tensor([1]))
    assert (kind().assign(predicted, truth).gt_inds == 0).all()


@pytest.mark.parametrize("kind", [SimOTAAssigner, DynamicSoftLabelAssigner])
def test_certain_scores_and_half_precision(kind):
    priors, truth = points(), objects(3)
    boxes, _ = guesses(priors, truth)
    for scores in (torch.ones(84, 4), torch.zeros(84, 4), torch.full((84, 4), 0.3).half()):
        found = kind().assign(InstanceData(priors=priors, bboxes=boxes, scores=scores), truth)
        assert (found.gt_inds > 0).sum() >= 3

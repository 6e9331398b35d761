"""ATSSAssigner against Algorithm 1 of arXiv:1912.02424, loop by loop."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou
from tests.det.assign.instances import anchors, centre, guesses, inside, objects
from visuite.cv.ops import bbox_overlaps
from visuite.det.assign import ATSSAssigner
from visuite.engine.structures import InstanceData


def plain_atss(priors, level_sizes, boxes, topk, fit, ignored=()):
    """`fit(prior, object)` is the overlap, or what stands in for it."""
    best = {}
    for g, box in enumerate(boxes):
        candidates, start = [], 0
        for size in level_sizes:
            level = [p for p in range(start, start + size) if p not in ignored]
            level.sort(key=lambda p: math.dist(centre(priors[p]), centre(box)))
            candidates += level[:topk]
            start += size
        fits = [fit(p, g) for p in candidates]
        threshold = statistics.mean(fits) + statistics.stdev(fits)
        for p, value in zip(candidates, fits, strict=True):
            if value >= threshold and inside(*centre(priors[p]), box, 0.01) and value > best.get(p, (-1, 0))[0]:
                best[p] = value, g + 1
    return [best.get(p, (0.0, 0)) for p in range(len(priors))]


@given(seed=st.integers(0, 10**6), count=st.integers(1, 8))
def test_by_plain_loops(seed, count):
    (priors, levels), truth = anchors(), objects(count, seed)
    found = ATSSAssigner(topk=3).assign(InstanceData(priors=priors), levels, truth)
    rows, boxes = priors.tolist(), truth.bboxes.tolist()
    want = plain_atss(rows, levels, boxes, 3, lambda p, g: plain_iou(rows[p], boxes[g]))
    assert found.gt_inds.tolist() == [owner for _, owner in want]
    assert found.max_overlaps.tolist() == pytest.approx([fit for fit, _ in want], abs=1e-5)


@given(seed=st.integers(0, 10**6))
def test_scores_and_overlaps_of_predictions(seed):
    (priors, levels), truth = anchors(), objects(4, seed)
    boxes, scores = guesses(priors, truth, seed)
    predicted = InstanceData(priors=priors, bboxes=boxes, scores=scores)
    found = ATSSAssigner(topk=3, alpha=0.8).assign(predicted, levels, truth)
    overlaps = bbox_overlaps(boxes, truth.bboxes)
    fits = (scores.sigmoid()[:, truth.labels] ** 0.2 * overlaps**0.8).tolist()
    want = plain_atss(priors.tolist(), levels, truth.bboxes.tolist(), 3, lambda p, g: fits[p][g])
    assert found.gt_inds.tolist() == [owner for _, owner in want]


def test_ignored_regions():
    (priors, levels), truth = anchors(), objects(4, seed=5)
    crowd = InstanceData(bboxes=torch.tensor([[0.0, 0, 40, 30]]))
    found = ATSSAssigner(topk=3, ignore_iof_thr=0.5).assign(InstanceData(priors=priors), levels, truth, crowd)
    lost = bbox_overlaps(priors, crowd.bboxes, "iof")[:, 0] > 0.5
    rows, boxes = priors.tolist(), truth.bboxes.tolist()
    ignored = set(lost.nonzero().flatten().tolist())
    want = plain_atss(rows, levels, boxes, 3, lambda p, g: plain_iou(rows[p], boxes[g]), ignored)
    assert found.gt_inds.tolist() == [-1 if p in ignored else owner for p, (_, owner) in enumerate(want)]


def test_levels_smaller_than_topk():
    (priors, levels), truth = anchors(), objects(3)
    found = ATSSAssigner(topk=100).assign(InstanceData(priors=priors), levels, truth)
    rows, boxes = priors.tolist(), truth.bboxes.tolist()
    want = plain_atss(rows, levels, boxes, 100, lambda p, g: plain_iou(rows[p], boxes[g]))
    assert found.gt_inds.tolist() == [owner for _, owner in want]


@pytest.mark.parametrize("alpha", [None, 0.8])
@pytest.mark.parametrize(("count", "number"), [(0, 3), (4, 0), (0, 0), (1, 2)])
def test_empty(alpha, count, number):
    priors = anchors()[0][:count]
    predicted = InstanceData(priors=priors, bboxes=priors, scores=torch.zeros(count, 4))
    found = ATSSAssigner(topk=9, alpha=alpha).assign(predicted, [count, 0], objects(number))
    assert found.gt_inds.shape == found.labels.shape == found.max_overlaps.shape == (count,)
    if not number:
        assert (found.gt_inds == 0).all()


def test_bad_input():
    priors, levels = anchors()
    with pytest.raises(ValueError, match="83, not 84"):
        ATSSAssigner(topk=9).assign(InstanceData(priors=priors), [64, 16, 3], objects(2))
    with pytest.raises(ValueError, match=r"pred_instances\.scores"):
        ATSSAssigner(topk=9, alpha=0.8).assign(InstanceData(priors=priors), levels, objects(2))

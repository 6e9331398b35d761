"""TaskAlignedAssigner against section 3.2 of arXiv:2108.07755, loop by loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou
from tests.det.assign.instances import anchors, centre, guesses, inside, objects
from visuite.det.assign import TaskAlignedAssigner
from visuite.engine.structures import InstanceData


def plain_task_aligned(priors, predicted, scores, boxes, labels, topk, alpha, beta):
    """Return (object, overlap, alignment) of each prior."""
    best = {}
    for g, box in enumerate(boxes):
        overlaps = [plain_iou(one, box) for one in predicted]
        alignment = [row[labels[g]] ** alpha * iou**beta for row, iou in zip(scores, overlaps, strict=True)]
        order = sorted(range(len(priors)), key=lambda p: -alignment[p])
        for p in order[:topk]:
            fits = alignment[p] > 0 and inside(*centre(priors[p]), box, 0.01)
            if fits and overlaps[p] > best.get(p, (0, -1.0, 0.0))[1]:
                best[p] = g + 1, overlaps[p], alignment[p]
    return [best.get(p, (0, 0.0, 0.0)) for p in range(len(priors))]


@pytest.mark.parametrize("topk", [7, 80])  # the second takes predictions that overlap nothing
@given(seed=st.integers(0, 10**6), count=st.integers(1, 8), beta=st.sampled_from([1.0, 6.0]))
def test_by_plain_loops(topk, seed, count, beta):
    priors, truth = anchors()[0].double(), objects(count, seed)
    boxes, logits = (one.double() for one in guesses(priors.float(), truth, seed))
    truth.bboxes = truth.bboxes.double()
    predicted = InstanceData(priors=priors, bboxes=boxes, scores=logits.sigmoid())
    found = TaskAlignedAssigner(topk=topk).assign(predicted, truth, alpha=0.5, beta=beta)
    rows = [one.tolist() for one in (priors, boxes, logits.sigmoid(), truth.bboxes, truth.labels)]
    want = plain_task_aligned(*rows, topk, 0.5, beta)
    assert found.gt_inds.tolist() == [owner for owner, _, _ in want]
    assert found.max_overlaps.tolist() == pytest.approx([overlap for _, overlap, _ in want])
    assert found.assign_metrics.tolist() == pytest.approx([alignment for _, _, alignment in want])


def test_exponents_of_the_assigner():
    priors, truth = anchors()[0], objects(5)
    boxes, logits = guesses(priors, truth)
    predicted = InstanceData(priors=priors, bboxes=boxes, scores=logits.sigmoid())
    own = TaskAlignedAssigner(topk=3, alpha=0.5, beta=2.0).assign(predicted, truth)
    given_ = TaskAlignedAssigner(topk=3).assign(predicted, truth, alpha=0.5, beta=2.0)
    assert torch.equal(own.assign_metrics, given_.assign_metrics)
    usual = TaskAlignedAssigner(topk=3).assign(predicted, truth).assign_metrics
    assert torch.equal(usual, TaskAlignedAssigner(topk=3).assign(predicted, truth, alpha=1, beta=6).assign_metrics)


@pytest.mark.parametrize(("count", "number"), [(0, 3), (4, 0), (0, 0)])
def test_empty(count, number):
    priors = anchors()[0][:count]
    predicted = InstanceData(priors=priors, bboxes=priors, scores=torch.zeros(count, 4))
    found = TaskAlignedAssigner(topk=13).assign(predicted, objects(number))
    for one in (found.gt_inds, found.max_overlaps, found.assign_metrics):
        assert one.tolist() == [0] * count
    with pytest.raises(ValueError, match="topk"):
        TaskAlignedAssigner(topk=0)

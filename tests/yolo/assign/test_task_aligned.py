"""BatchTaskAlignedAssigner against section 3.2 of arXiv:2108.07755, image by image and loop by loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou
from tests.cv.ops.test_bbox_overlaps import plain_overlap
from tests.det.assign.instances import inside
from tests.yolo.assign.batches import COUNTS, SEEDS, batch, check
from visuite.yolo.assign import BatchTaskAlignedAssigner


def plain_task_aligned(priors, predicted, scores, truth, topk, alpha, beta, ciou):
    """Return the object and the score of each prior of an image."""
    boxes, labels = truth.bboxes.double().tolist(), truth.labels.tolist()

    def overlap(p, g):
        if not ciou:
            return plain_iou(predicted[p], boxes[g])
        return max(0.0, plain_overlap(predicted[p], boxes[g], "ciou", aspect_from=-1))

    wanting = [set() for _ in priors]
    metrics = [
        [row[label] ** alpha * overlap(p, g) ** beta for g, label in enumerate(labels)] for p, row in enumerate(scores)
    ]
    for g, box in enumerate(boxes):
        within = [p for p, (x, y, _, _) in enumerate(priors) if inside(x, y, box) and metrics[p][g] > 0]
        for p in sorted(within, key=lambda p: -metrics[p][g])[:topk]:
            wanting[p].add(g)
    owners = [0] * len(priors)
    for p, objects in enumerate(wanting):
        if objects:
            most = max(range(len(boxes)), key=lambda g: overlap(p, g))
            owners[p] = 1 + (most if len(objects) > 1 else objects.pop())
    fits = [0.0] * len(priors)
    for p, owner in enumerate(owners):
        same = [q for q, other in enumerate(owners) if other == owner]
        if owner:
            best = max(metrics[q][owner - 1] for q in same)
            fits[p] = metrics[p][owner - 1] / (best + 1e-9) * max(overlap(q, owner - 1) for q in same)
    return owners, fits


@pytest.mark.parametrize(("topk", "ciou"), [(3, False), (13, True), (500, False)])
@settings(max_examples=25)
@given(seed=SEEDS, counts=COUNTS, beta=st.sampled_from([1.0, 6.0]))
def test_by_plain_loops(topk, ciou, seed, counts, beta):
    one = batch(counts, seed)
    assigner = BatchTaskAlignedAssigner(num_classes=4, topk=topk, alpha=0.5, beta=beta, eps=1e-9, use_ciou=ciou)
    found = one.assign(assigner)
    told = [
        plain_task_aligned(one.priors.tolist(), boxes.tolist(), scores.tolist(), truth, topk, 0.5, beta, ciou)
        for boxes, scores, truth in zip(one.boxes, one.logits.sigmoid(), one.truth, strict=True)
    ]
    check(found, one, *zip(*told, strict=True))


def test_the_best_prior_of_an_object_scores_as_much_as_it_overlaps():
    one = batch([1])
    one.boxes[0, 40] = one.gt_bboxes[0, 0]
    found = one.assign(BatchTaskAlignedAssigner(num_classes=4, topk=13, eps=1e-12))
    assert found["assigned_scores"].max().item() <= 1
    assert found["assigned_scores"].max().item() > 0.3


def test_bad_topk():
    with pytest.raises(ValueError, match="topk"):
        BatchTaskAlignedAssigner(num_classes=4, topk=0)


def test_half_precision_predictions():
    one = batch([4, 2])
    found = BatchTaskAlignedAssigner(num_classes=4)(
        one.boxes.float(), one.logits.half().sigmoid(), one.priors.float(), one.labels, one.gt_bboxes.float(), one.flag
    )
    assert found["assigned_scores"].dtype == torch.float32
    assert found["fg_mask_pre_prior"].any()

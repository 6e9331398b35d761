"""BatchATSSAssigner against algorithm 1 of arXiv:1912.02424, image by image and loop by loop."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given, settings

from tests.cv.ops.checks import plain_iou
from tests.det.assign.instances import centre, inside
from tests.yolo.assign.batches import COUNTS, SEEDS, batch, check
from visuite.yolo.assign import BatchATSSAssigner


def plain_atss(priors, predicted, truth, topk):
    """Return the object and the score of each prior of an image, and whether rounding may decide."""
    cells = [[x - 2.5 * s, y - 2.5 * s, x + 2.5 * s, y + 2.5 * s] for x, y, s, _ in priors]
    wanting, close = {}, False
    for g, box in enumerate(truth.bboxes.double().tolist()):
        across, down = centre(box)
        candidates = []
        for stride in sorted({one[2] for one in priors}):
            level = [p for p, one in enumerate(priors) if one[2] == stride]
            level.sort(key=lambda p: (priors[p][0] - across) ** 2 + (priors[p][1] - down) ** 2)
            candidates += level[:topk]
        overlaps = [plain_iou(box, cells[p]) for p in candidates]
        threshold = statistics.mean(overlaps) + (statistics.stdev(overlaps) if len(overlaps) > 1 else 0)
        for p, overlap in zip(candidates, overlaps, strict=True):
            close |= abs(overlap - threshold) < 1e-9
            if overlap >= threshold and inside(*priors[p][:2], box) and overlap > wanting.get(p, (0, -1.0))[1]:
                wanting[p] = g, overlap
    owners, fits = [0] * len(priors), [0.0] * len(priors)
    for p, (g, _) in wanting.items():
        owners[p], fits[p] = g + 1, plain_iou(predicted[p], truth.bboxes[g].double().tolist())
    return owners, fits, close


@pytest.mark.parametrize("topk", [1, 9, 100])
@settings(max_examples=25)
@given(seed=SEEDS, counts=COUNTS)
def test_by_plain_loops(topk, seed, counts):
    one = batch(counts, seed)
    found = one.assign(BatchATSSAssigner(num_classes=4, topk=topk))
    told = [
        plain_atss(one.priors.tolist(), boxes.tolist(), truth, topk)
        for boxes, truth in zip(one.boxes, one.truth, strict=True)
    ]
    if not any(close for _, _, close in told):
        check(found, one, *zip(*(image[:2] for image in told), strict=True))


def test_bad_topk():
    with pytest.raises(ValueError, match="topk"):
        BatchATSSAssigner(num_classes=4, topk=0)

"""BatchYOLOv7Assigner against SimOTA of arXiv:2107.08430 over an image's matches, loop by loop."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings

from tests.cv.ops.checks import plain_iou, random_boxes
from tests.det.assign.instances import CLASSES, PeakMemory, guesses
from tests.det.assign.test_cost_assigners import near_a_whole_number, plain_matching
from tests.yolo.assign.batches import COUNTS, SEEDS, batch
from visuite.det.assign import sweep
from visuite.yolo.assign import BatchYOLOv7Assigner
from visuite.yolo.assign.ratio import Matches


def some_matches(one, each, seed=0):
    """`each` matches for every object, in any order: anchors of 50, some of them twice; with boxes and scores."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor([len(image.bboxes) for image in one.truth])
    images = torch.arange(len(counts)).repeat_interleave(counts * each)
    images = images[torch.randperm(len(images), generator=generator)]
    priors = torch.randint(50, images.shape, generator=generator)
    boxes, scores = torch.zeros(len(images), 4), torch.zeros(len(images), CLASSES)
    for index, truth in enumerate(one.truth):
        predicted, logits = guesses(random_boxes(int((images == index).sum())), truth, seed + index)
        boxes[images == index], scores[images == index] = predicted, logits.sigmoid()
    matches = Matches(images, priors, torch.zeros_like(images), torch.arange(len(images)) % 3)
    return matches, boxes.double(), scores.double()


def assign(assigner, one, matches, boxes, scores):
    return assigner(matches, boxes, scores, one.labels, one.gt_bboxes, one.flag)


def rows_of(matches):
    return sorted(zip(*(getattr(matches, n).tolist() for n in ("images", "priors", "objects", "levels")), strict=True))


@settings(max_examples=25)
@given(seed=SEEDS, counts=COUNTS)
def test_by_plain_loops(seed, counts):
    one = batch(counts, seed)
    matches, boxes, scores = some_matches(one, 7, seed)
    assigner = BatchYOLOv7Assigner(candidate_topk=5, iou_weight=2.0, cls_weight=1.5)
    found = assign(assigner, one, matches, boxes, scores)
    told, start = [], 0
    for index, truth in enumerate(one.truth):
        own = (matches.images == index).nonzero().flatten().tolist()
        overlaps = [[plain_iou(boxes[m].tolist(), box) for box in truth.bboxes.double().tolist()] for m in own]
        costs = []
        for m, row in zip(own, overlaps, strict=True):
            targets = F.one_hot(truth.labels, CLASSES).double()
            entropy = F.binary_cross_entropy(scores[m].expand_as(targets), targets, reduction="none").sum(dim=1)
            costs.append([1.5 * entropy[g].item() - 2 * math.log(iou + 1e-8) for g, iou in enumerate(row)])
        if own and near_a_whole_number(overlaps, 5):
            return
        owners = plain_matching(costs, overlaps, 5) if own else []
        for m, owner in zip(own, owners, strict=True):
            if owner:
                told.append((index, int(matches.priors[m]), start + owner - 1, int(matches.levels[m])))
        start += len(truth.bboxes)
    assert rows_of(found) == sorted(told)


def test_slices_change_nothing_and_bound_memory(monkeypatch):
    one = batch([300, 2], seed=3)
    data = some_matches(one, 10)
    assigner = BatchYOLOv7Assigner()
    whole = assign(assigner, one, *data)
    assert len(whole.images) > 50
    monkeypatch.setattr(sweep, "PAIRS_AT_ONCE", 2**16)
    with PeakMemory() as memory:
        parts = assign(assigner, one, *data)
    assert rows_of(parts) == rows_of(whole)
    assert memory.peak < 16 * 8 * 2**16 + 2 * 3000 * 8 * 100  # 14 MiB each are the matrices of all pairs


def test_nothing_to_assign():
    for counts in ([0], [0, 0]):
        one = batch(counts)
        assert len(assign(BatchYOLOv7Assigner(), one, *some_matches(one, 3)).images) == 0
    one = batch([2, 0])  # objects that no anchor is like
    matches, boxes, scores = some_matches(batch([0, 0]), 3)
    assert len(assign(BatchYOLOv7Assigner(), one, matches, boxes, scores).images) == 0

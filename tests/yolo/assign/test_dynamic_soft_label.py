"""BatchDynamicSoftLabelAssigner against section 3.3 of arXiv:2212.07784, image by image and loop by loop."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cv.ops.checks import plain_iou
from tests.det.assign.instances import centre, inside
from tests.det.assign.test_cost_assigners import embed, near_a_whole_number, plain_matching
from tests.yolo.assign.batches import COUNTS, SEEDS, batch, check
from visuite.yolo.assign import BatchDynamicSoftLabelAssigner


def plain_soft_labels(priors, predicted, logits, truth, topk, radius):
    """Return the object and the score of each prior of an image, and whether rounding may decide."""
    boxes, valid, costs, overlaps = truth.bboxes.double().tolist(), [], [], []
    for p, (x, y, stride, _) in enumerate(priors):
        if not any(inside(x, y, box) for box in boxes):
            continue
        valid.append(p)
        overlaps.append([plain_iou(predicted[p], box) for box in boxes])
        row = []
        for g, box in enumerate(boxes):
            soft, own = overlaps[-1][g], logits[p, truth.labels[g]].sigmoid().item()
            entropy = -soft * math.log(own) - (1 - soft) * math.log(1 - own)
            far = math.dist((x, y), centre(box)) / stride
            row.append(entropy * (soft - own) ** 2 - 3 * math.log(overlaps[-1][g] + 1e-7) + 10 ** (far - radius))
        costs.append(row)
    if not valid:
        return [0] * len(priors), [0.0] * len(priors), False
    owners = embed(valid, plain_matching(costs, overlaps, topk), len(priors))
    fits = [plain_iou(predicted[p], boxes[g - 1]) if g else 0.0 for p, g in enumerate(owners)]
    return owners, fits, near_a_whole_number(overlaps, topk)


@settings(max_examples=25)
@given(seed=SEEDS, counts=COUNTS, topk=st.sampled_from([1, 5, 13]))
def test_by_plain_loops(seed, counts, topk):
    one = batch(counts, seed)
    assigner = BatchDynamicSoftLabelAssigner(num_classes=4, topk=topk, soft_center_radius=2.0)
    found = one.assign(assigner, logits=True)
    told = [
        plain_soft_labels(one.priors.tolist(), boxes.tolist(), logits, truth, topk, 2.0)
        for boxes, logits, truth in zip(one.boxes, one.logits, one.truth, strict=True)
    ]
    if not any(close for _, _, close in told):
        check(found, one, *zip(*(image[:2] for image in told), strict=True))


def test_an_object_without_overlaps_gets_one_prior_inside():
    one = batch([1, 0])
    one.gt_bboxes[0, 0] = one.truth[0].bboxes[0] = torch.tensor([9.0, 9.0, 39.0, 39.0])
    one.boxes[:] = torch.tensor([50.0, 50.0, 60.0, 60.0])
    positive = one.assign(BatchDynamicSoftLabelAssigner(num_classes=4), logits=True)["fg_mask_pre_prior"]
    assert positive.sum(dim=1).tolist() == [1, 0]
    assert 9 < one.priors[positive[0], 0].item() < 39

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import SeesawLoss, seesaw_loss

LOGITS, LABELS = 2 * random_tensor(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 3, 1])
COUNTS = torch.tensor([100.0, 10, 1, 0])
SCORES, WITH_BACKGROUND = random_tensor(6, 6), torch.tensor([0, 4, 2, 3, 4, 1])


def by_hand(row, label, p, q, eps=1e-2):
    """-log of the paper's sigma hat: rivals are multiplied by mitigation and compensation."""
    exps = [math.exp(x) for x in row]
    scores = [e / sum(exps) for e in exps]
    counts = [max(n, 1) for n in COUNTS.tolist()]
    rivals = 0.0
    for j, e in enumerate(exps):
        if j == label:
            continue
        mitigation = (counts[j] / counts[label]) ** p if counts[label] > counts[j] else 1
        ratio = scores[j] / max(scores[label], eps)
        rivals += e * mitigation * (ratio**q if ratio > 1 else 1)
    return -math.log(exps[label] / (rivals + exps[label]))


@pytest.mark.parametrize(("p", "q"), [(0.8, 2.0), (0.0, 2.0), (0.8, 0.0), (0.0, 0.0)])
def test_by_hand(p, q):
    want = [by_hand(row, label, p, q) for row, label in zip(LOGITS.tolist(), LABELS.tolist(), strict=True)]
    torch.testing.assert_close(seesaw_loss(LOGITS, LABELS, COUNTS, p=p, q=q), torch.tensor(want).double())


def test_without_factors_it_is_cross_entropy():
    want = F.cross_entropy(LOGITS, LABELS, reduction="none")
    torch.testing.assert_close(seesaw_loss(LOGITS, LABELS, COUNTS, p=0, q=0), want)


def test_scores_and_counts_are_constants_to_the_gradient():
    logits = LOGITS.clone().requires_grad_()
    mitigated = torch.autograd.gradcheck(lambda x: seesaw_loss(x, LABELS, COUNTS, q=0), logits)
    assert mitigated
    # with constant factors, the gradient by a rival's logit is its share of the sum
    seesaw_loss(logits, LABELS, COUNTS)[0].backward()
    assert logits.grad[0, 1:].gt(0).all()
    assert logits.grad[0].sum().item() == pytest.approx(0, abs=1e-9)


def test_both_losses():
    loss = SeesawLoss(num_classes=4, loss_weight=2.0)
    found = loss(SCORES, WITH_BACKGROUND)
    objects = WITH_BACKGROUND < 4
    torch.testing.assert_close(loss.cum_samples, torch.tensor([1.0, 1, 1, 1, 2]))
    objectness = F.cross_entropy(SCORES[:, 4:], (~objects).long())
    torch.testing.assert_close(found["loss_cls_objectness"], 2 * objectness)
    classes = seesaw_loss(SCORES[objects, :4], WITH_BACKGROUND[objects], torch.ones(4)).mean()
    torch.testing.assert_close(found["loss_cls_classes"], 2 * classes)
    weight = torch.tensor([1.0, 2, 0, 1, 1, 1])
    weighed = loss(SCORES, WITH_BACKGROUND, weight, avg_factor=5.0)
    each = F.cross_entropy(SCORES[:, 4:], (~objects).long(), reduction="none")
    torch.testing.assert_close(weighed["loss_cls_objectness"], 2 * (each * weight).sum() / 5)
    torch.testing.assert_close(loss.cum_samples, torch.tensor([2.0, 2, 2, 2, 4]))
    assert set(loss.state_dict()) == {"cum_samples"}
    total = SeesawLoss(num_classes=4, return_dict=False)(SCORES, WITH_BACKGROUND)
    torch.testing.assert_close(total, objectness + classes)


def test_background_alone():
    scores = SCORES.clone().requires_grad_()
    found = SeesawLoss(num_classes=4)(scores, torch.full((6,), 4))
    assert found["loss_cls_classes"] == 0
    sum(found.values()).backward()
    assert scores.grad.isfinite().all()


def test_what_a_box_head_asks():
    loss = SeesawLoss(num_classes=4)
    assert loss.custom_cls_channels
    assert loss.custom_activation
    assert loss.custom_accuracy
    assert loss.get_cls_channels(4) == 6
    with pytest.raises(ValueError, match="4 classes, the head has 5"):
        loss.get_cls_channels(5)
    probs = loss.get_activation(SCORES)
    assert probs.shape == (6, 5)
    torch.testing.assert_close(probs.sum(1), torch.ones(6))
    torch.testing.assert_close(probs[:, 4], SCORES[:, 4:].softmax(1)[:, 1])
    torch.testing.assert_close(probs[:, :4].argmax(1), SCORES[:, :4].argmax(1))
    right = loss.get_accuracy(SCORES, WITH_BACKGROUND)
    objects = WITH_BACKGROUND < 4
    hits = (SCORES[:, 4] > SCORES[:, 5]) == objects
    assert right["acc_objectness"].item() == pytest.approx(100 * hits.float().mean().item())
    hits = SCORES[objects, :4].argmax(1) == WITH_BACKGROUND[objects]
    assert right["acc_classes"].item() == pytest.approx(100 * hits.float().mean().item())


def test_bad_input():
    with pytest.raises(ValueError, match="use_sigmoid"):
        SeesawLoss(use_sigmoid=True)
    with pytest.raises(ValueError, match=r"4 \+ 2"):
        SeesawLoss(num_classes=4)(SCORES[:, :5], WITH_BACKGROUND)

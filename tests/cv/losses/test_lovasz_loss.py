from __future__ import annotations

import itertools

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import LovaszLoss, lovasz_hinge, lovasz_softmax
from visuite.cv.losses.lovasz_loss import lovasz_extension

MAPS, LABELS = random_tensor(2, 3, 4, 5), torch.arange(40).reshape(2, 4, 5) % 3


def jaccard_loss(wrong, inside):
    """1 - intersection / union of a mask whose prediction is wrong at some pixels."""
    predicted = {i for i, t in enumerate(inside) if t != (i in wrong)}
    truth = {i for i, t in enumerate(inside) if t}
    union = predicted | truth
    return 1 - len(predicted & truth) / len(union) if union else 0.0


def by_hand(errors, inside):
    """The extension: wrong pixels join in order of their errors, each paid by what the loss gains."""
    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    total, wrong, before = 0.0, set(), 0.0
    for i in order:
        wrong.add(i)
        now = jaccard_loss(wrong, inside)
        total += errors[i] * (now - before)
        before = now
    return total


def class_losses(probs, label):
    flat = probs.reshape(-1, 3)
    return [
        by_hand([abs((t == c) - p) for p, t in zip(flat[:, c].tolist(), label, strict=True)], [t == c for t in label])
        for c in range(3)
    ]


def test_at_the_corners_it_is_the_jaccard_loss():
    for inside in itertools.product((0, 1), repeat=4):
        for wrong in itertools.product((0, 1), repeat=4):
            if any(inside):
                found = lovasz_extension(torch.tensor(wrong)[:, None].double(), torch.tensor(inside)[:, None])
                assert found.item() == pytest.approx(jaccard_loss({i for i, w in enumerate(wrong) if w}, inside))


def test_softmax():
    probs, label = MAPS.softmax(1).movedim(1, -1), LABELS.flatten().tolist()
    each = class_losses(probs, label)
    torch.testing.assert_close(LovaszLoss()(MAPS, LABELS), torch.tensor(sum(each) / 3))
    images = [sum(class_losses(p, t.flatten().tolist())) / 3 for p, t in zip(probs, LABELS, strict=True)]
    loss = LovaszLoss(per_image=True, reduction="none")
    torch.testing.assert_close(loss(MAPS, LABELS), torch.tensor(images))
    weighed = LovaszLoss(class_weight=[1, 0, 2])(MAPS, LABELS)
    torch.testing.assert_close(weighed, torch.tensor((each[0] + 2 * each[2]) / 3))


def test_which_classes_are_averaged():
    label = torch.where(LABELS == 1, 0, LABELS)
    probs = MAPS.softmax(1).movedim(1, -1)
    each = class_losses(probs, label.flatten().tolist())
    for classes, told in (("present", (0, 2)), ("all", (0, 1, 2)), ([1, 2], (1, 2))):
        want = torch.tensor(sum(each[c] for c in told) / len(told))
        torch.testing.assert_close(LovaszLoss(classes=classes)(MAPS, label), want)
        torch.testing.assert_close(lovasz_softmax(probs.reshape(-1, 3), label.flatten(), classes=classes), want)


def test_ignored_pixels_do_not_count():
    label = LABELS.clone()
    label[:, 0] = 255
    torch.testing.assert_close(LovaszLoss()(MAPS, label), LovaszLoss()(MAPS[:, :, 1:], LABELS[:, 1:]))
    nothing = LovaszLoss(per_image=True)(MAPS.requires_grad_(), torch.full_like(LABELS, 255))
    nothing.backward()
    assert nothing == 0
    MAPS.requires_grad_(False)


def test_hinge():
    logits, inside = MAPS[0, 0].flatten(), (LABELS[0] > 0).long().flatten()
    errors = [max(0, 1 - x * (1 if t else -1)) for x, t in zip(logits.tolist(), inside.tolist(), strict=True)]
    want = torch.tensor(by_hand(errors, inside.tolist()))
    torch.testing.assert_close(lovasz_hinge(logits, inside), want)
    loss = LovaszLoss("binary", reduction="none")
    torch.testing.assert_close(loss(MAPS[:1, :1], (LABELS[:1] > 0).long()), want)
    torch.testing.assert_close(loss(MAPS[:1, 0], (LABELS[:1] > 0).long()), want)


def test_bad_input():
    with pytest.raises(ValueError, match="softmax"):
        LovaszLoss("softmax")
    with pytest.raises(ValueError, match="some"):
        LovaszLoss(classes="some")
    with pytest.raises(ValueError, match="per_image"):
        LovaszLoss()(MAPS, LABELS, torch.ones(2))
    with pytest.raises(ValueError, match="one weight for each image"):
        LovaszLoss(per_image=True)(MAPS, LABELS, torch.ones(2, 4, 5))
    with pytest.raises(ValueError, match="one channel"):
        LovaszLoss("binary")(MAPS, LABELS)

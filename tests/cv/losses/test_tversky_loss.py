from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import TverskyLoss

MAPS, LABELS = random_tensor(2, 3, 4, 5), torch.arange(40).reshape(2, 4, 5) % 3


def by_hand(maps, label, alpha=0.3, beta=0.7, smooth=1.0, ignored=255):
    """The loss of each image (row) and class (column)."""
    out = []
    for image, truth in zip(maps.softmax(1), label, strict=True):
        row = []
        for c in range(maps.shape[1]):
            hits = alarms = misses = 0.0
            for p, t in zip(image[c].flatten().tolist(), truth.flatten().tolist(), strict=True):
                if t != ignored:
                    hits += p * (t == c)
                    alarms += p * (t != c)
                    misses += (1 - p) * (t == c)
            row.append(1 - (hits + smooth) / (hits + alpha * alarms + beta * misses + smooth))
        out.append(row)
    return torch.tensor(out)


def test_by_hand():
    label = LABELS.clone()
    label[0, :2] = 255
    want = by_hand(MAPS, label)
    torch.testing.assert_close(TverskyLoss()(MAPS, label), want.mean())
    torch.testing.assert_close(
        TverskyLoss(class_weight=[1, 0, 2])(MAPS, label), (want @ torch.tensor([1.0, 0, 2])).mean() / 3
    )
    other = by_hand(MAPS, label, alpha=0.6, beta=0.4, smooth=0.1)
    torch.testing.assert_close(TverskyLoss(alpha=0.6, beta=0.4, smooth=0.1)(MAPS, label), other.mean())


def test_an_ignored_class_has_no_loss():
    want = by_hand(MAPS, LABELS, ignored=1)[:, [0, 2]]
    torch.testing.assert_close(TverskyLoss()(MAPS, LABELS, ignore_index=1), want.mean())


def test_halves_make_dice():
    p, t = MAPS.softmax(1), torch.stack([LABELS.eq(c) for c in range(3)], 1).float()
    dice = 1 - 2 * (p * t).sum((2, 3)) / (p.sum((2, 3)) + t.sum((2, 3)))
    torch.testing.assert_close(TverskyLoss(smooth=0, alpha=0.5, beta=0.5)(MAPS, LABELS), dice.mean())


def test_bad_weights():
    with pytest.raises(ValueError, match="add up to 1"):
        TverskyLoss(alpha=0.5, beta=0.7)

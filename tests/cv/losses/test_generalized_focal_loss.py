from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import QualityFocalLoss, distribution_focal_loss, quality_focal_loss

LOGITS = random_tensor(5, 3, dtype=torch.float64)
LABELS, SCORES = torch.tensor([0, 2, 3, 1, -1]), torch.tensor([0.9, 0.3, 0.8, 0.0, 0.5]).double()


def by_hand(x, y, beta):
    p = 1 / (1 + math.exp(-x))
    return abs(y - p) ** beta * -(y * math.log(p) + (1 - y) * math.log(1 - p))


@pytest.mark.parametrize("beta", [2.0, 0.5])
def test_quality(beta):
    want = [
        sum(by_hand(x, score if c == label else 0.0, beta) for c, x in enumerate(row))
        for row, label, score in zip(LOGITS.tolist(), LABELS.tolist(), SCORES.tolist(), strict=True)
    ]
    found = quality_focal_loss(LOGITS, (LABELS, SCORES), beta=beta)
    torch.testing.assert_close(found, torch.tensor(want).double())
    dense = torch.zeros(5, 3).double()
    dense[0, 0], dense[1, 2] = 0.9, 0.3
    torch.testing.assert_close(quality_focal_loss(LOGITS, dense, beta=beta), found)
    torch.testing.assert_close(quality_focal_loss(LOGITS.sigmoid(), dense, beta=beta, activated=True), found)
    mean = QualityFocalLoss(beta=beta)(LOGITS, (LABELS, SCORES))
    torch.testing.assert_close(mean, found.mean())


def test_the_right_quality_costs_nothing():
    logits = torch.tensor([[0.3]], requires_grad=True)
    loss = quality_focal_loss(logits, (torch.tensor([0]), logits.detach().sigmoid()[:, 0]), beta=0.5)
    loss.sum().backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad.isfinite().all()


def test_distances():
    distance = torch.tensor([0.0, 1.3, 2.0, 1.9, 0.6]).double()
    want = []
    for row, d in zip(LOGITS.tolist(), distance.tolist(), strict=True):
        logs = [x - math.log(sum(map(math.exp, row))) for x in row]
        below = min(int(d), 1)
        want.append(-((below + 1 - d) * logs[below] + (d - below) * logs[below + 1]))
    torch.testing.assert_close(distribution_focal_loss(LOGITS, distance), torch.tensor(want).double())
    far = distribution_focal_loss(LOGITS, torch.full((5,), 7.0))
    torch.testing.assert_close(far, -LOGITS.log_softmax(1)[:, 2])


def test_the_expected_distance_is_learnt():
    logits = torch.zeros(1, 8, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=1.0)
    for _ in range(300):
        optimizer.zero_grad()
        distribution_focal_loss(logits, torch.tensor([3.7])).sum().backward()
        optimizer.step()
    assert (logits.softmax(1) @ torch.arange(8.0)).item() == pytest.approx(3.7, abs=0.02)


def test_bad_input():
    with pytest.raises(ValueError, match="use_sigmoid"):
        QualityFocalLoss(use_sigmoid=False)
    with pytest.raises(ValueError, match="different shapes"):
        quality_focal_loss(LOGITS, torch.zeros(5, 2))
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(5, 4\)"):
        distribution_focal_loss(LOGITS, torch.zeros(5, 4))

from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import GaussianFocalLoss, gaussian_focal_loss

HEAT = torch.tensor([[1.0, 0.6, 0.0], [0.2, 0.0, 1.0], [0.0, 0.9, 0.0]]).double()
PROBS = random_tensor(3, 3, dtype=torch.float64).sigmoid()


def negative(p, y, alpha=2.0, gamma=4.0):
    return -((1 - y) ** gamma) * p**alpha * math.log(1 - p)


def positive(p, alpha=2.0):
    return -((1 - p) ** alpha) * math.log(p)


def test_by_hand():
    want = [
        3 * positive(p) if y == 1 else 0.5 * negative(p, y)
        for p, y in zip(PROBS.flatten().tolist(), HEAT.flatten().tolist(), strict=True)
    ]
    found = gaussian_focal_loss(PROBS, HEAT, pos_weight=3, neg_weight=0.5)
    torch.testing.assert_close(found, torch.tensor(want).double().reshape(3, 3))
    module = GaussianFocalLoss(pos_weight=3, neg_weight=0.5)
    torch.testing.assert_close(module(PROBS, HEAT, avg_factor=2.0), torch.tensor(sum(want) / 2).double())


def test_powers():
    want = positive(PROBS[0, 0].item(), 1.5) + negative(PROBS[0, 1].item(), 0.6, 1.5, 3)
    assert gaussian_focal_loss(PROBS[0, :2], HEAT[0, :2], alpha=1.5, gamma=3).sum().item() == pytest.approx(want)


def test_listed_centres():
    """Centres that are told need not be where the heat is 1, and may coincide."""
    pixels, classes = torch.tensor([2, 0, 2]), torch.tensor([0, 1, 0])
    p, y = PROBS.tolist(), HEAT.tolist()
    centres = 2 * positive(p[2][0]) + positive(p[0][1])
    elsewhere = sum(negative(p[i][c], y[i][c]) for i in range(3) for c in range(3))
    loss = GaussianFocalLoss(pos_weight=0.25, neg_weight=0.75, loss_weight=2)
    found = loss(PROBS, HEAT, pos_inds=pixels, pos_labels=classes, avg_factor=3)
    assert found.item() == pytest.approx(2 * (0.25 * centres + 0.75 * elsewhere) / 3)
    none = loss(PROBS, HEAT, pos_inds=pixels[:0], pos_labels=classes[:0], avg_factor=1)
    assert none.item() == pytest.approx(2 * 0.75 * elsewhere)


def test_bad_input():
    with pytest.raises(ValueError, match="different shapes"):
        gaussian_focal_loss(PROBS, HEAT[:2])
    with pytest.raises(ValueError, match="pos_labels"):
        GaussianFocalLoss()(PROBS, HEAT, pos_inds=torch.tensor([0]))
    with pytest.raises(ValueError, match="reduction"):
        GaussianFocalLoss(reduction="none")(PROBS, HEAT, pos_inds=torch.tensor([0]), pos_labels=torch.tensor([0]))

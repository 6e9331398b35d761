from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import BoundaryLoss, boundary_loss

LOGITS, EDGES = random_tensor(2, 1, 3, 4), (torch.arange(24).reshape(2, 3, 4) % 4 == 0).long()


def test_by_hand():
    want = []
    for x, t in zip(LOGITS.flatten().tolist(), EDGES.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        want.append(-0.75 * math.log(p) if t else -0.25 * math.log(1 - p))  # 6 of 24 are boundary
    torch.testing.assert_close(boundary_loss(LOGITS, EDGES).flatten(), torch.tensor(want))
    loss = BoundaryLoss(loss_weight=20.0)
    assert loss(LOGITS, EDGES).item() == pytest.approx(20 * sum(want) / 24, rel=1e-5)
    assert loss.loss_name == "loss_boundary"


def test_other_labels_are_ignored():
    edges = EDGES.clone()
    edges[0] = 255
    loss = boundary_loss(LOGITS, edges)
    assert (loss[0] == 0).all()
    torch.testing.assert_close(loss[1:], boundary_loss(LOGITS[1:], EDGES[1:]))


def test_boundaries_alone_cost_nothing():
    assert boundary_loss(LOGITS, torch.ones_like(EDGES)).sum() == 0


def test_bad_input():
    with pytest.raises(ValueError, match="different shapes"):
        boundary_loss(LOGITS, EDGES[:1])

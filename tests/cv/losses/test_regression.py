from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import BalancedL1Loss, L1Loss, MSELoss, SmoothL1Loss, balanced_l1_loss, smooth_l1_loss

PRED, TARGET = random_tensor(5, 4), random_tensor(5, 4, seed=1)


def test_l1_and_squares():
    torch.testing.assert_close(L1Loss()(PRED, TARGET), F.l1_loss(PRED, TARGET))
    torch.testing.assert_close(MSELoss()(PRED, TARGET), F.mse_loss(PRED, TARGET))


@pytest.mark.parametrize("beta", [1.0, 1 / 9, 0.0])
def test_smooth_l1(beta):
    want = [d - beta / 2 if d >= beta else d * d / 2 / beta for d in (PRED - TARGET).abs().flatten().tolist()]
    torch.testing.assert_close(smooth_l1_loss(PRED, TARGET, beta=beta).flatten(), torch.tensor(want))
    assert SmoothL1Loss(beta=beta)(PRED, TARGET).item() == pytest.approx(sum(want) / 20)


def test_weights_of_coordinates():
    weight = torch.zeros(5, 4)
    weight[1, 2] = 3
    found = SmoothL1Loss(beta=0.1)(PRED, TARGET, weight, avg_factor=2)
    assert found.item() == pytest.approx(1.5 * smooth_l1_loss(PRED, TARGET, beta=0.1)[1, 2].item())


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 1.5), (0.2, 1.0)])
def test_gradients_of_balanced_l1(alpha, gamma):
    """The paper defines the loss by its gradient: alpha log(b d + 1) up to 1 and gamma beyond."""
    d = torch.linspace(0, 3, 301, dtype=torch.float64, requires_grad=True)
    loss = balanced_l1_loss(d, torch.zeros_like(d), alpha=alpha, gamma=gamma)
    assert loss[0] == 0
    loss.sum().backward()
    b = math.exp(gamma / alpha) - 1
    want = [alpha * math.log(b * x + 1) if x < 1 else gamma for x in d.tolist()]
    torch.testing.assert_close(d.grad[1:], torch.tensor(want[1:]).double())


def test_balanced_l1_with_another_meeting_point():
    b = math.exp(3) - 1
    small = 0.5 / b * (b * 0.05 + 1) * math.log(b * 0.05 / 0.11 + 1) - 0.5 * 0.05
    large = 1.5 * 2 + 1.5 / b - 0.5 * 0.11
    d = torch.tensor([0.05, -2, 0.11 - 1e-9, 0.11 + 1e-9]).double()
    found = BalancedL1Loss(beta=0.11, reduction="none")(d, torch.zeros_like(d))
    torch.testing.assert_close(found[:2], torch.tensor([small, large]).double())
    torch.testing.assert_close(found[2], found[3])


@pytest.mark.parametrize("kind", [L1Loss, MSELoss, SmoothL1Loss, BalancedL1Loss])
def test_targets_are_not_broadcast(kind):
    with pytest.raises(ValueError, match=r"\(5, 4\).*\(5, 1\)"):
        kind()(PRED, TARGET[:, :1])


def test_bad_arguments():
    with pytest.raises(ValueError, match="beta"):
        SmoothL1Loss(beta=-1)
    with pytest.raises(ValueError, match="positive"):
        BalancedL1Loss(alpha=0)

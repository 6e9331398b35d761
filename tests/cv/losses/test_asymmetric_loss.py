from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import AsymmetricLoss, asymmetric_loss, focal_loss

LOGITS = 3 * random_tensor(4, 3, dtype=torch.float64)
SEVERAL = (random_tensor(4, 3, seed=1) > 0).long()


@pytest.mark.parametrize(("gamma_pos", "gamma_neg", "clip"), [(0.0, 4.0, 0.05), (1.0, 2.0, 0.2), (1.0, 4.0, None)])
def test_by_hand(gamma_pos, gamma_neg, clip):
    want = torch.zeros(4, 3).double()
    for i in range(4):
        for c in range(3):
            p = 1 / (1 + math.exp(-LOGITS[i, c]))
            if SEVERAL[i, c]:
                want[i, c] = -((1 - p) ** gamma_pos) * math.log(p)
            else:
                p = max(p - (clip or 0), 0)
                want[i, c] = -(p**gamma_neg) * math.log(1 - p)
    loss = AsymmetricLoss(gamma_pos=gamma_pos, gamma_neg=gamma_neg, clip=clip, reduction="none")
    torch.testing.assert_close(loss(LOGITS, SEVERAL), want)


def test_classes():
    label = torch.tensor([0, 2, 1, 2])
    one_hot = torch.nn.functional.one_hot(label, 3)
    torch.testing.assert_close(asymmetric_loss(LOGITS, label), asymmetric_loss(LOGITS, one_hot))
    torch.testing.assert_close(asymmetric_loss(LOGITS, label[:, None]), asymmetric_loss(LOGITS, one_hot))


def test_equal_powers_make_focal_loss():
    want = 2 * focal_loss(LOGITS, SEVERAL, gamma=2, alpha=0.5)
    torch.testing.assert_close(asymmetric_loss(LOGITS, SEVERAL, gamma_pos=2, gamma_neg=2, clip=0), want)


def test_softmax():
    label = torch.tensor([0, 2, 1, 2])
    found = asymmetric_loss(LOGITS, label, gamma_pos=0, gamma_neg=0, clip=0, use_sigmoid=False)
    p = LOGITS.softmax(1)
    want = torch.where(torch.nn.functional.one_hot(label, 3) > 0, -p.log(), -(1 - p).log())
    torch.testing.assert_close(found, want)

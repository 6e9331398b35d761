from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import VarifocalLoss, varifocal_loss

LOGITS = random_tensor(2, 3, dtype=torch.float64)
FIT = torch.tensor([[0.8, 0, 0], [0, 0, 0.1]]).double()


@pytest.mark.parametrize("iou_weighted", [True, False])
def test_by_hand(iou_weighted):
    want = torch.zeros(2, 3).double()
    for i in range(2):
        for c in range(3):
            p, q = 1 / (1 + math.exp(-LOGITS[i, c])), FIT[i, c].item()
            cost = -(q * math.log(p) + (1 - q) * math.log(1 - p))
            want[i, c] = cost * ((q if iou_weighted else 1) if q > 0 else 0.6 * p**1.5)
    found = varifocal_loss(LOGITS, FIT, alpha=0.6, gamma=1.5, iou_weighted=iou_weighted)
    torch.testing.assert_close(found, want)
    module = VarifocalLoss(alpha=0.6, gamma=1.5, iou_weighted=iou_weighted, reduction="sum")
    torch.testing.assert_close(module(LOGITS, FIT), want.sum())


def test_bad_input():
    with pytest.raises(ValueError, match="use_sigmoid"):
        VarifocalLoss(use_sigmoid=False)
    with pytest.raises(ValueError, match="alpha"):
        VarifocalLoss(alpha=-1)
    with pytest.raises(ValueError, match="different shapes"):
        varifocal_loss(LOGITS, FIT[:, 0])

from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import CrossEntropyCustomLoss, CrossEntropyLoss, FocalCustomLoss, FocalLoss

SCORES, LABELS = random_tensor(5, 3), torch.tensor([0, 3, 2, 1, 3])  # 3 is background


@pytest.mark.parametrize(
    ("loss", "plain"),
    [
        (CrossEntropyCustomLoss(num_classes=3, loss_weight=2.0), CrossEntropyLoss(use_sigmoid=True, loss_weight=2.0)),
        (FocalCustomLoss(num_classes=3, alpha=0.4), FocalLoss(alpha=0.4)),
    ],
)
def test_what_a_box_head_asks(loss, plain):
    assert loss(SCORES, LABELS, avg_factor=2) == plain(SCORES, LABELS, avg_factor=2)
    assert loss.custom_cls_channels
    assert loss.custom_activation
    assert loss.custom_accuracy
    assert loss.get_cls_channels(3) == 3
    with pytest.raises(ValueError, match="3 classes, the head has 4"):
        loss.get_cls_channels(4)
    probs = loss.get_activation(SCORES)
    torch.testing.assert_close(probs[:, :3], SCORES.sigmoid())
    torch.testing.assert_close(probs[:, 3], (1 - SCORES.sigmoid().sum(1)).clamp(0, 1))
    right = SCORES[[0, 2, 3]].argmax(1) == LABELS[[0, 2, 3]]
    assert loss.get_accuracy(SCORES, LABELS)["acc_classes"].item() == pytest.approx(100 * right.float().mean().item())


@pytest.mark.parametrize("kind", [CrossEntropyCustomLoss, FocalCustomLoss])
def test_softmax_is_not_defined(kind):
    with pytest.raises(ValueError, match="use_sigmoid"):
        kind(use_sigmoid=False, num_classes=3)

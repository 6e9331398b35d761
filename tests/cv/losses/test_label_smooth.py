"""Smoothed targets, written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from visuite.cv.losses import LabelSmoothLoss

torch.manual_seed(0)
SCORES, LABELS = torch.randn(6, 5), torch.tensor([0, 4, 2, 2, 1, 3])


@pytest.mark.parametrize(
    ("mode", "hit", "miss"), [("original", 0.9 + 0.02, 0.02), ("classy_vision", 1.02 / 1.1, 0.02 / 1.1)]
)
def test_smoothed_targets(mode: str, hit: float, miss: float) -> None:
    loss = LabelSmoothLoss(0.1, mode=mode)
    target = torch.full((6, 5), miss).scatter(1, LABELS[:, None], hit)
    torch.testing.assert_close(loss.smooth(LABELS, 5), target)
    want = (-target * SCORES.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss(SCORES, LABELS), want)


def test_smoothed_multi_label_targets() -> None:
    targets = torch.randint(0, 2, (6, 5))
    want = F.binary_cross_entropy_with_logits(SCORES, targets * 0.9 + (1 - targets) * 0.1)
    torch.testing.assert_close(LabelSmoothLoss(0.1, mode="multi_label")(SCORES, targets), want)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        LabelSmoothLoss(1.5)
    with pytest.raises(ValueError, match="half"):
        LabelSmoothLoss(0.1, mode="half")


def test_wrong_number_of_classes() -> None:
    with pytest.raises(ValueError, match="10"):
        LabelSmoothLoss(0.1, num_classes=10)(SCORES, LABELS)

from __future__ import annotations

import pytest
import torch

from visuite.cv.losses import accuracy


def test_accuracy() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    target = torch.tensor([2, 1, 0])
    assert accuracy(scores, target).item() == pytest.approx(100 / 3)
    top1, top2 = accuracy(scores, target, topk=(1, 2))
    assert (top1.item(), top2.item()) == (pytest.approx(100 / 3), pytest.approx(200 / 3))
    assert accuracy(scores, target, thresh=0.8).item() == 0
    assert accuracy(scores[:0], target[:0]).item() == 0
    with pytest.raises(ValueError, match="top-4"):
        accuracy(scores, target, topk=4)

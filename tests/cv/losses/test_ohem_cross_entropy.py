from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import OhemCrossEntropy

MAPS, LABELS = random_tensor(2, 3, 4, 5), torch.arange(40).reshape(2, 4, 5) % 3
LABELS[0, 0] = 255  # 5 of 40


def by_hand(thres, min_kept, class_weight=(1.0, 1.0, 1.0)):
    own = []
    for image, truth in zip(MAPS.softmax(1), LABELS, strict=True):
        own += [
            (image[t, i, j].item(), t) for i, row in enumerate(truth.tolist()) for j, t in enumerate(row) if t < 255
        ]
    own.sort()
    kept = [pair for k, pair in enumerate(own) if k < min_kept or pair[0] < thres]
    return -sum(torch.tensor(p).log().item() * class_weight[t] for p, t in kept) / len(kept)


@pytest.mark.parametrize("thres", [0.01, 0.3, 0.7])
@pytest.mark.parametrize("min_kept", [1, 12, 35, 36, 100000])
def test_by_hand(thres, min_kept):
    found = OhemCrossEntropy(thres=thres, min_kept=min_kept)(MAPS, LABELS)
    assert found.item() == pytest.approx(by_hand(thres, min_kept), rel=1e-5)
    weights = [1.0, 0.5, 3.0]
    found = OhemCrossEntropy(thres=thres, min_kept=min_kept, class_weight=weights)(MAPS, LABELS)
    assert found.item() == pytest.approx(by_hand(thres, min_kept, weights), rel=1e-5)


def test_easy_pixels_get_no_gradient():
    maps = MAPS.clone().requires_grad_()
    OhemCrossEntropy(thres=0.01, min_kept=12)(maps, LABELS).backward()
    assert (maps.grad.abs().sum(1) > 0).sum() == 12


def test_all_kept_is_cross_entropy():
    want = F.cross_entropy(MAPS, LABELS, ignore_index=255)
    torch.testing.assert_close(OhemCrossEntropy()(MAPS, LABELS), want)
    other = OhemCrossEntropy(ignore_label=1)
    torch.testing.assert_close(other(MAPS, LABELS, ignore_index=255), want)


def test_nothing_but_ignored_pixels():
    maps = MAPS.clone().requires_grad_()
    loss = OhemCrossEntropy(min_kept=3)(maps, torch.full_like(LABELS, 255))
    loss.backward()
    assert loss.item() == 0

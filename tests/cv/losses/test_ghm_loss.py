from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import GHMC, GHMR

LOGITS = 2 * random_tensor(20, 3)
SEVERAL = (random_tensor(20, 3, seed=1) > 0).long()


def harmonized(losses, gradients, bins, total, counts=None):
    """The paper's unit-region approximation: total / (entries in the bin) / (bins that are not empty) for each."""
    place = [min(int(g * bins), bins - 1) for g in gradients]
    counts = counts or [place.count(k) for k in range(bins)]
    filled = len(set(place))
    return sum(loss * total / counts[k] / filled for loss, k in zip(losses, place, strict=True)) / total


def binary(x, t):
    p = 1 / (1 + math.exp(-x))
    return -math.log(p if t else 1 - p), abs(p - t)


def entries(logits, several):
    pairs = [binary(x, t) for x, t in zip(logits.flatten().tolist(), several.flatten().tolist(), strict=True)]
    return [loss for loss, _ in pairs], [g for _, g in pairs]


@pytest.mark.parametrize("bins", [1, 10, 30])
def test_classification(bins):
    losses, gradients = entries(LOGITS, SEVERAL)
    loss = GHMC(bins=bins)
    assert loss(LOGITS, SEVERAL).item() == pytest.approx(harmonized(losses, gradients, bins, 60), rel=1e-5)
    weight = torch.ones(20)
    weight[5:] = 0  # by the gradients of the others only
    losses, gradients = entries(LOGITS[:5], SEVERAL[:5])
    want = harmonized(losses, gradients, bins, 15)
    assert loss(LOGITS, SEVERAL, weight).item() == pytest.approx(want, rel=1e-5)
    assert loss(LOGITS, SEVERAL, 3 * weight[:, None].expand(20, 3)).item() == pytest.approx(want, rel=1e-5)


def test_one_bin_is_cross_entropy():
    want = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS, SEVERAL.float())
    torch.testing.assert_close(GHMC(bins=1)(LOGITS, SEVERAL), want)


def test_labels():
    label = torch.arange(20) % 5 - 1  # -1 is ignored, 3 is background
    one_hot = torch.stack([label == c for c in range(3)], 1).long()
    want = GHMC()(LOGITS, one_hot, (label >= 0).float())
    torch.testing.assert_close(GHMC()(LOGITS, label), want)


def test_regression():
    pred, target = random_tensor(20, 4), random_tensor(20, 4, seed=1)
    losses, gradients = [], []
    for d in (pred - target).flatten().tolist():
        length = math.sqrt(d * d + 0.5**2)
        losses.append(length - 0.5)
        gradients.append(abs(d) / length)
    loss = GHMR(mu=0.5, bins=8)
    assert loss(pred, target).item() == pytest.approx(harmonized(losses, gradients, 8, 80), rel=1e-5)
    weight = torch.ones(20, 4)
    weight[3:] = 0
    want = harmonized(losses[:12], gradients[:12], 8, 12)
    assert loss(pred, target, weight).item() == pytest.approx(want, rel=1e-5)


def test_momentum():
    loss = GHMC(bins=4, momentum=0.75)
    assert set(loss.state_dict()) == {"edges", "acc_sum"}
    first, second = (LOGITS[:10], SEVERAL[:10]), (LOGITS[10:], SEVERAL[10:])
    running = [0.0] * 4
    for logits, several in (first, second):
        losses, gradients = entries(logits, several)
        place = [min(int(g * 4), 3) for g in gradients]
        for k in range(4):
            if k in place:
                running[k] = 0.75 * running[k] + 0.25 * place.count(k)
        found = loss(logits, several)
        assert found.item() == pytest.approx(harmonized(losses, gradients, 4, 30, running), rel=1e-5)
    torch.testing.assert_close(loss.acc_sum, torch.tensor(running))
    again = GHMC(bins=4, momentum=0.75)
    again.load_state_dict(loss.state_dict())
    torch.testing.assert_close(again.acc_sum, loss.acc_sum)


def test_state_without_momentum():
    assert set(GHMR().state_dict()) == {"edges"}
    assert GHMC(bins=30).edges.shape == (31,)


def test_softmax_is_not_defined():
    with pytest.raises(ValueError, match="use_sigmoid"):
        GHMC(use_sigmoid=False)

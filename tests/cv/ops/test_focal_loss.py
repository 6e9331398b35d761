from __future__ import annotations

import math

import pytest
import torch
import torchvision

from tests.cv.ops.checks import random_tensor
from visuite.cv.ops import sigmoid_focal_loss, softmax_focal_loss
from visuite.engine.registry import MODELS

LOSSES = [sigmoid_focal_loss, softmax_focal_loss]
TARGET = torch.tensor([0, 2, 3, 1, -1])  # 3 classes: 3 and -1 are background


def plain_sigmoid(logits, target, gamma, alpha, weight):
    out = torch.zeros_like(logits)
    for n, row in enumerate(logits.tolist()):
        own = weight[target[n]].item() if 0 <= target[n] < len(row) else 1.0
        for c, x in enumerate(row):
            p = 1 / (1 + math.exp(-x))
            if c == target[n]:
                out[n, c] = -alpha * (1 - p) ** gamma * math.log(p) * own
            else:
                out[n, c] = -(1 - alpha) * p**gamma * math.log(1 - p) * own
    return out


def plain_softmax(logits, target, gamma, alpha, weight):
    out = torch.zeros(len(logits), dtype=logits.dtype)
    for n, row in enumerate(logits.tolist()):
        if 0 <= target[n] < len(row):
            p = math.exp(row[target[n]]) / sum(math.exp(x) for x in row)
            out[n] = -alpha * (1 - p) ** gamma * math.log(p) * weight[target[n]]
    return out


@pytest.mark.parametrize(("loss", "plain"), [(sigmoid_focal_loss, plain_sigmoid), (softmax_focal_loss, plain_softmax)])
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.5, 0.6), (0.0, 0.5)])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_a_loop(loss, plain, gamma, alpha, weighted):
    logits = random_tensor(5, 3, dtype=torch.float64) * 3
    weight = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    told = plain(logits, TARGET, gamma, alpha, weight if weighted else torch.ones(3))
    found = loss(logits, TARGET, gamma, alpha, weight if weighted else None, "none")
    torch.testing.assert_close(found, told)
    mean = loss(logits, TARGET, gamma, alpha, weight if weighted else None)
    torch.testing.assert_close(mean, told.sum() / 5)
    torch.testing.assert_close(
        loss(logits, TARGET, gamma, alpha, weight if weighted else None, reduction="sum"), told.sum()
    )


def test_equals_torchvisions_sigmoid_loss():
    logits, target = random_tensor(20, 4), torch.arange(20) % 5
    onehot = torch.nn.functional.one_hot(target, 5)[:, :4].float()
    told = torchvision.ops.sigmoid_focal_loss(logits, onehot, 0.25, 2.0, "none")
    torch.testing.assert_close(sigmoid_focal_loss(logits, target, reduction="none"), told)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("gamma", [2.0, 0.7, 0.0])
def test_gradients(loss, gamma):
    logits = random_tensor(5, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, TARGET, gamma, reduction="none"), logits)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("gamma", [2.0, 0.5, 0.0])
def test_extreme_logits_stay_finite(loss, gamma):
    logits = torch.tensor([[200.0, -200, 0], [-200, 200, 0], [1e4, -1e4, 1e4]], requires_grad=True)
    value = loss(logits, torch.tensor([0, 0, 1]), gamma)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_no_examples(loss):
    logits, none = torch.zeros(0, 3, requires_grad=True), torch.zeros(0, dtype=torch.long)
    value = loss(logits, none)
    value.backward()
    assert value.item() == 0
    assert loss(logits, none, reduction="none").shape == ((0, 3) if loss is sigmoid_focal_loss else (0,))


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_logits_give_a_float32_loss(loss):
    logits = random_tensor(5, 3).bfloat16()
    found = loss(logits, TARGET)
    assert found.dtype == torch.float32
    assert found == loss(logits.float(), TARGET)


@pytest.mark.parametrize("loss", LOSSES)
def test_layers(loss):
    name = "SigmoidFocalLoss" if loss is sigmoid_focal_loss else "SoftmaxFocalLoss"
    weight = torch.tensor([0.5, 2.0, 3.0])
    module = MODELS.build(dict(type=name, gamma=1.5, alpha=0.3, weight=weight, reduction="sum"))
    logits = random_tensor(5, 3)
    assert module(logits, TARGET) == loss(logits, TARGET, 1.5, 0.3, weight, "sum")
    assert not module.state_dict()
    assert "gamma=1.5" in repr(module)


@pytest.mark.parametrize("loss", LOSSES)
def test_bad_input(loss):
    with pytest.raises(ValueError, match=r"not \(5, 3\) and \(4,\)"):
        loss(torch.zeros(5, 3), TARGET[:4])
    with pytest.raises(ValueError, match="'avg' is none of"):
        loss(torch.zeros(5, 3), TARGET, reduction="avg")
    with pytest.raises(ValueError, match=r"3 classes, not \(2,\)"):
        loss(torch.zeros(5, 3), TARGET, weight=torch.ones(2))

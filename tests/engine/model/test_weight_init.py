"""Initialisers against closed forms and statistics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from visuite.engine.model import (
    ConstantInit,
    bias_init_with_prob,
    caffe2_xavier_init,
    constant_init,
    initialize,
    kaiming_init,
    normal_init,
    trunc_normal_init,
    uniform_init,
    xavier_init,
)
from visuite.engine.registry import WEIGHT_INITIALIZERS

FAN_IN, FAN_OUT = 40 * 9, 60 * 9  # of the convolution below


@pytest.fixture
def conv() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(40, 60, 3)


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (lambda m: normal_init(m, std=0.3, bias=2), 0.3),
        (lambda m: xavier_init(m, bias=2), math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda m: xavier_init(m, gain=3, bias=2, distribution="uniform"), 3 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda m: kaiming_init(m, bias=2), math.sqrt(2 / FAN_OUT)),
        (lambda m: kaiming_init(m, mode="fan_in", bias=2, distribution="uniform"), math.sqrt(2 / FAN_IN)),
        (lambda m: kaiming_init(m, a=0.5, nonlinearity="leaky_relu", bias=2), math.sqrt(2 / 1.25 / FAN_OUT)),
        (lambda m: caffe2_xavier_init(m, bias=2), math.sqrt(1 / FAN_IN)),
        (lambda m: uniform_init(m, -1, 1, bias=2), math.sqrt(4 / 12)),
        (lambda m: trunc_normal_init(m, std=0.02, bias=2), 0.02),
    ],
)
def test_the_spread_is_what_the_formula_says(conv, init, std) -> None:
    init(conv)
    assert conv.weight.std().item() == pytest.approx(std, rel=0.02)
    assert conv.weight.mean().abs() < 5 * std / math.sqrt(conv.weight.numel())
    assert (conv.bias == 2).all()


def test_truncation_keeps_within_its_bounds(conv) -> None:
    trunc_normal_init(conv, std=1, a=-0.5, b=1.5)
    assert -0.5 <= conv.weight.min() < -0.45
    assert 1.45 < conv.weight.max() <= 1.5


def test_constant_and_modules_without_bias() -> None:
    layer = nn.Linear(3, 2, bias=False)
    constant_init(layer, 4, bias=1)
    assert (layer.weight == 4).all()


def test_a_prior_becomes_a_bias() -> None:
    assert torch.sigmoid(torch.tensor(bias_init_with_prob(0.01))).item() == pytest.approx(0.01)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bias_init_with_prob(1)


def test_fans_are_not_asked_of_norms() -> None:
    norm = nn.BatchNorm2d(3)
    kaiming_init(norm)
    assert (norm.weight == 1).all()


@pytest.mark.parametrize(
    "kind", ["Constant", "Xavier", "Normal", "TruncNormal", "Uniform", "Kaiming", "Caffe2Xavier", "Pretrained"]
)
def test_all_kinds_are_registered(kind) -> None:
    assert kind in WEIGHT_INITIALIZERS


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))


def values(net: nn.Module) -> dict[str, set[float]]:
    return {name: set(p.flatten().tolist()) for name, p in net.named_parameters()}


def test_layer_chooses_by_class_name_or_base() -> None:
    net = Net()
    before = values(net)
    initialize(
        net, [dict(type="Constant", layer="Conv2d", val=1, bias=2), dict(type="Constant", layer=["_BatchNorm"], val=3)]
    )
    after = values(net)
    assert after["conv.weight"] == {1.0}
    assert after["conv.bias"] == {2.0}
    assert after["norm.weight"] == {3.0}
    assert after["head.0.weight"] == before["head.0.weight"]


def test_override_takes_the_outer_settings_or_its_own() -> None:
    net = Net()
    initialize(net, dict(type="Constant", val=1, bias=2, override=dict(name="head")))
    assert values(net)["head.1.bias"] == {2.0}
    assert values(net)["conv.weight"] != {1.0}
    overrides = [dict(name="head.0", type="Constant", val=7), dict(name="norm", type="Constant", val=8)]
    initialize(net, dict(type="Constant", layer="Linear", val=1, bias=2, override=overrides))
    after = values(net)
    assert (after["head.0.weight"], after["head.1.weight"], after["norm.weight"]) == ({7.0}, {1.0}, {8.0})


def test_neither_layer_nor_override_touches_nothing_and_says_so() -> None:
    net = Net()
    before = values(net)
    with pytest.warns(UserWarning, match="names no layer"):
        initialize(net, dict(type="Constant", val=1))
    assert values(net) == before


def test_bias_prob_wins_over_bias() -> None:
    layer = nn.Linear(2, 2)
    ConstantInit(0, bias=5, bias_prob=0.5, layer="Linear")(layer)
    assert (layer.bias == 0).all()


@pytest.mark.parametrize(
    ("cfg", "error", "message"),
    [
        (dict(type="Constant", val=1, override=dict(name="haed")), AttributeError, "'head'"),
        (dict(type="Constant", val=1, override=dict(type="Constant", val=1)), KeyError, "'name'"),
        (dict(type="Constant", val=1, override=dict(name="head", val=2)), KeyError, "'type'"),
        (dict(type="Constant", layer="Linear"), TypeError, "'val'"),
        (dict(type="Constant", val=1, layr="Linear"), TypeError, "'layer'"),
        (dict(type="Constnt", val=1), KeyError, "'Constant'"),
        (dict(type="Constant", val=1, layer=3), TypeError, "class name"),
        (dict(type="Xavier", layer="Linear", distribution="norm"), ValueError, "'norm'"),
    ],
)
def test_faults_name_what_is_wrong(cfg, error, message) -> None:
    with pytest.raises(error, match=message):
        initialize(Net(), cfg)

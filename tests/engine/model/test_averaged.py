"""Averages of weights against their formulas, and after resuming."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import swa_utils

from visuite.engine.model import (
    BaseAveragedModel,
    ExpMomentumEMA,
    ExponentialMovingAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from visuite.engine.model.sharding import gather_no_longer, is_part, shard


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x):
        return self.norm(self.fc(x))


def moved(net: Net, step: int) -> None:
    """Give every weight and statistic a value that depends on the step alone."""
    with torch.no_grad():
        for one in (*net.parameters(), *net.buffers()):
            one.fill_(math.sin(3 * step) * 10 if one.is_floating_point() else step)


KINDS = {
    "ema": (lambda net, **kw: ExponentialMovingAverage(net, 0.1, **kw), lambda step, interval: 0.1),
    "annealing": (
        lambda net, **kw: MomentumAnnealingEMA(net, 0.1, gamma=5, **kw),
        lambda step, interval: max(0.1, 5 / (5 + step)),
    ),
    "exp": (
        lambda net, **kw: ExpMomentumEMA(net, 0.1, gamma=7, **kw),
        lambda step, interval: 0.9 * math.exp(-(1 + step) / 7) + 0.1,
    ),
    "mean": (lambda net, **kw: StochasticWeightAverage(net, **kw), lambda step, interval: 1 / (step // interval + 1)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("update_buffers", [False, True])
def test_the_average_is_what_the_formula_says(kind, interval, update_buffers) -> None:
    make, momentum = KINDS[kind]
    net = Net()
    average = make(net, interval=interval, update_buffers=update_buffers)
    expected = None
    for step in range(20):
        moved(net, step)
        average.update_parameters(net)
        now = math.sin(3 * step) * 10
        if expected is None:
            expected = now
        elif step % interval == 0:
            expected = (1 - momentum(step, interval)) * expected + momentum(step, interval) * now
        assert average.module.fc.weight[0, 0].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
        statistic = average.module.norm.running_mean[0].item()
        assert statistic == pytest.approx(expected if update_buffers else now, rel=1e-5, abs=1e-5)
        assert average.module.norm.num_batches_tracked == step
    assert average.steps == 20


def test_swa_is_the_plain_mean() -> None:
    net, seen = Net(), []
    average = StochasticWeightAverage(net)
    for step in range(10):
        moved(net, step)
        seen.append(net.fc.weight[0, 0].item())
        average.update_parameters(net)
    assert average.module.fc.weight[0, 0].item() == pytest.approx(sum(seen) / 10, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_resuming_changes_no_bit(kind, stop) -> None:
    make, _ = KINDS[kind]
    net = Net()
    whole = make(net, interval=3)
    first = make(net, interval=3)
    for step in range(12):
        moved(net, step)
        whole.update_parameters(net)
        if step == stop:
            state = first.state_dict()
            first = make(Net(), interval=3)
            first.load_state_dict(state)
        first.update_parameters(net)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, first.state_dict()[name]), name
    assert first.steps == 12


def test_state_keys_are_the_documented_ones() -> None:
    keys = ExponentialMovingAverage(Net()).state_dict()
    assert "steps" in keys
    assert "module.fc.weight" in keys


def test_the_model_is_copied_frozen_and_callable() -> None:
    net = Net().eval()
    average = ExponentialMovingAverage(net)
    x = torch.randn(3, 2)
    assert torch.equal(average(x), net(x))
    assert all(not p.requires_grad for p in average.parameters())
    assert all(p.requires_grad for p in net.parameters())
    average.update_parameters(net)
    net.fc.weight.data.zero_()
    assert average.module.fc.weight.abs().sum() > 0


def test_a_rule_of_ones_own() -> None:
    class Largest(BaseAveragedModel):
        def avg_func(self, averaged_param, source_param, steps) -> None:
            averaged_param.copy_(torch.maximum(averaged_param, source_param))

    net = Net()
    average = Largest(net)
    for step in range(5):
        moved(net, step)
        average.update_parameters(net)
    assert average.module.fc.bias[0].item() == pytest.approx(max(math.sin(3 * s) * 10 for s in range(5)))


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="interval"):
        StochasticWeightAverage(Net(), interval=0)
    with pytest.raises(ValueError, match="momentum"):
        ExponentialMovingAverage(Net(), momentum=1.5)
    with pytest.warns(UserWarning, match="did you mean 0"):
        ExponentialMovingAverage(Net(), momentum=0.999)
    with pytest.raises(ValueError, match="gamma"):
        ExpMomentumEMA(Net(), gamma=0)


@pytest.fixture
def alone():
    """A process group of one."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("average_of", [copy.deepcopy, swa_utils.AveragedModel, ExponentialMovingAverage])
def test_a_model_in_parts_is_copied_in_parts(average_of) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[3].weight = model[2].weight  # shared
    model[0].bias.requires_grad_(False)
    x = torch.randn(5, 3)
    shard(model, [model[0]], "cpu", reshard_after_forward=False)
    model[1].eval()
    expected = model(x)  # leaves blocks gathered
    made = average_of(copy.deepcopy(model))
    twin = getattr(made, "module", made)
    assert isinstance(twin, type(model))
    assert all(map(is_part, [*twin.parameters(), *model.parameters()]))
    assert twin[3].weight is twin[2].weight
    assert not twin[1].training
    assert torch.equal(twin(x), expected)
    if average_of is copy.deepcopy:
        assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in model.parameters()]
    with torch.no_grad():
        gather_no_longer(twin)
        twin[2].weight.fill_(7)
        twin[1].running_mean.fill_(7)
    assert torch.equal(model(x), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_an_average_in_parts_stays_where_its_model_is() -> None:
    model = nn.Linear(4, 3)
    shard(model, [], "cpu")
    assert ExponentialMovingAverage(model, device="cpu").module.weight.device.type == "cpu"
    with pytest.raises(ValueError, match=r"Average: the average of a model in parts .* not on 'cuda'; leave `device`"):
        ExponentialMovingAverage(model, device="cuda")

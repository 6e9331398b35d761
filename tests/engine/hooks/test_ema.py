"""Averaged weights: where they are used, what is published, and resuming."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import ToyNet, assert_same_bits, config, weights
from visuite.engine.hooks import EMAHook, Hook
from visuite.engine.hooks.ema import exchange
from visuite.engine.model import ExponentialMovingAverage
from visuite.engine.runner import Runner

EACH_ITER = dict(checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False))
KINDS = {
    "exponential": dict(momentum=0.1),
    "with buffers, every second": dict(momentum=0.1, update_buffers=True, interval=2),
    "annealing": dict(ema_type="MomentumAnnealingEMA", momentum=0.01, gamma=5),
    "ramped": dict(ema_type="ExpMomentumEMA", momentum=0.01, gamma=5, update_buffers=True),
    "plain mean": dict(ema_type="StochasticWeightAverage"),
    "from epoch 2 on": dict(momentum=0.1, begin_epoch=2),
    "from iteration 7 on": dict(momentum=0.1, begin_iter=7),
}


def ema_config(work_dir, ema, *hooks, **changes):
    return config(work_dir, custom_hooks=[dict(type="EMAHook", **ema), *hooks], default_hooks=EACH_ITER, **changes)


def the_hook(runner: Runner) -> EMAHook:
    return next(hook for hook in runner.hooks if isinstance(hook, EMAHook))


class Watch(Hook):
    """Average by the definition, and compare with what validation has."""

    priority = "LOWEST"

    def __init__(self, momentum: float, begin: int = 0) -> None:
        self.momentum, self.begin, self.validations = momentum, begin, 0
        self.average = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        now = {name: p.detach().double() for name, p in runner.model.named_parameters()}
        if runner.iter + 1 <= self.begin or self.average is None:
            self.average = {name: p.clone() for name, p in now.items()}
            return
        for name, p in now.items():
            self.average[name] = (1 - self.momentum) * self.average[name] + self.momentum * p

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self.validations += 1
        for name, p in runner.model.named_parameters():
            torch.testing.assert_close(p.detach().double(), self.average[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("begin", [0, 8])
def test_validation_sees_the_average_and_training_does_not(tmp_path, begin):
    watch = Watch(0.2, begin)
    runner = Runner.from_cfg(ema_config(tmp_path / "ema", dict(momentum=0.2, begin_iter=begin), watch))
    trained = weights(runner.train())
    assert watch.validations == 3 * 5
    assert_same_bits(trained, weights(Runner.from_cfg(config(tmp_path / "plain")).train()))


def test_a_checkpoint_publishes_the_average_and_keeps_the_trained_weights(tmp_path):
    runner = Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1)))
    trained, average = weights(runner.train()), the_hook(runner).ema_model
    saved = torch.load(tmp_path / "iter_15.pth", weights_only=True)
    kept = saved["ema_state_dict"]
    assert set(kept) == {"steps", *(f"module.{name}" for name in trained)}
    assert kept["steps"] == 15
    assert_same_bits({name: kept[f"module.{name}"] for name in trained}, trained)
    assert_same_bits(saved["state_dict"], weights(average.module))
    assert not torch.equal(saved["state_dict"]["net.0.weight"], trained["net.0.weight"])


def test_before_the_beginning_the_trained_weights_are_published(tmp_path):
    Runner.from_cfg(ema_config(tmp_path, dict(begin_iter=9))).train()
    early, late = (torch.load(tmp_path / f"iter_{i}.pth", weights_only=True) for i in (8, 12))
    for saved, same in ((early, True), (late, False)):
        one, other = saved["state_dict"]["net.0.weight"], saved["ema_state_dict"]["module.net.0.weight"]
        assert torch.equal(one, other) is same


@pytest.mark.parametrize(
    ("kind", "stop"),
    [*zip(KINDS, (3, 10, 6, 7, 5, 4, 9), strict=True), ("exponential", 10), ("from iteration 7 on", 4)],
)
def test_resuming_at_any_iteration_gives_the_same_bits(tmp_path, kind, stop):
    whole = Runner.from_cfg(ema_config(tmp_path / "whole", KINDS[kind]))
    whole.train()
    with pytest.raises(Stop):
        Runner.from_cfg(ema_config(tmp_path / "parts", KINDS[kind], StopAt(stop))).train()
    resumed = Runner.from_cfg(ema_config(tmp_path / "parts", KINDS[kind], resume=True))
    resumed.train()
    assert resumed.iter == 15
    assert_same_bits(weights(resumed.model), weights(whole.model))
    assert_same_bits(weights(the_hook(resumed).ema_model), weights(the_hook(whole).ema_model))
    accuracy = [r.message_hub.get_scalar("val/toy/accuracy").current() for r in (resumed, whole)]
    assert accuracy[0] == accuracy[1]


def test_testing_a_checkpoint_tests_its_average(tmp_path):
    Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1))).train()
    saved = torch.load(tmp_path / "iter_15.pth", weights_only=True)
    runner = Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1), load_from=str(tmp_path / "iter_15.pth")))
    runner.val()
    assert_same_bits(weights(runner.model), saved["state_dict"])
    assert the_hook(runner).ema_model is None  # an evaluation alone pays for no second model


def test_weights_loaded_after_training_are_what_is_tested(tmp_path):
    runner = Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1)))
    runner.train()
    saved = torch.load(tmp_path / "iter_5.pth", weights_only=True)
    runner.load_checkpoint(str(tmp_path / "iter_5.pth"))

    class Look(Hook):
        def before_val_iter(self, runner, batch_idx, data_batch=None):
            assert_same_bits(weights(runner.model), saved["state_dict"])

    runner.register_hook(Look())
    runner.val()


def test_starting_from_a_checkpoint_trains_on_from_its_average(tmp_path):
    Runner.from_cfg(ema_config(tmp_path / "1", dict(momentum=0.1))).train()
    saved = torch.load(tmp_path / "1" / "iter_15.pth", weights_only=True)
    seen = []

    class First(Hook):
        def before_train_epoch(self, runner):
            seen.append(weights(runner.model))

    start = dict(load_from=str(tmp_path / "1" / "iter_15.pth"))
    Runner.from_cfg(ema_config(tmp_path / "2", dict(momentum=0.1), First(), **start)).train()
    assert_same_bits(seen[0], saved["state_dict"])


def test_resuming_a_checkpoint_without_an_average_begins_one_and_says_so(tmp_path, capfd):
    Runner.from_cfg(config(tmp_path, default_hooks=EACH_ITER, train_cfg=dict(by_epoch=True, max_epochs=1))).train()
    runner = Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1), resume=True))
    runner.train()
    assert the_hook(runner).ema_model.steps == 10
    out = capfd.readouterr()
    assert "no ema_state_dict: averaging begins anew" in out.out + out.err


def test_a_validation_that_fails_leaves_the_trained_weights(tmp_path):
    class Fail(Hook):
        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.averaged = weights(runner.model)
            raise Stop

    fail = Fail()
    runner = Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1), fail))
    with pytest.raises(Stop):
        runner.train()
    kept = torch.load(tmp_path / "iter_5.pth", weights_only=True)
    assert_same_bits(weights(runner.model), {n: kept["ema_state_dict"][f"module.{n}"] for n in kept["state_dict"]})
    assert_same_bits(fail.averaged, kept["state_dict"])


def test_exchanging_moves_no_data_and_respects_shared_weights():
    net = ToyNet()
    net.twin = net.net[0]  # the same module under two names
    average = ExponentialMovingAverage(net)
    with torch.no_grad():
        average.module.net[0].weight.zero_()
    pointer, parameter = average.module.net[0].weight.data_ptr(), net.net[0].weight
    before = net.net[0].weight.detach().clone()
    exchange(average, net)
    assert net.net[0].weight is parameter  # an optimizer goes on with it
    assert parameter.data_ptr() == pointer
    assert not parameter.any()
    exchange(average, net)
    assert torch.equal(parameter, before)


def test_beginnings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="0 or later"):
        EMAHook(begin_iter=-1)
    with pytest.raises(ValueError, match="not both"):
        EMAHook(begin_iter=1, begin_epoch=1)


@pytest.mark.parametrize(
    ("begin", "train_cfg", "told"),
    [
        (dict(begin_epoch=4), dict(by_epoch=True, max_epochs=3), True),
        (dict(begin_epoch=3), dict(by_epoch=True, max_epochs=3), False),
        (dict(begin_iter=16), dict(by_epoch=True, max_epochs=3), True),
        (dict(begin_iter=15), dict(by_epoch=True, max_epochs=3), False),
        (dict(begin_epoch=2), dict(by_epoch=False, max_iters=15), True),  # iterations are one long epoch
    ],
)
def test_an_average_that_never_begins_is_told(tmp_path, capfd, begin, train_cfg, told):
    runner = Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1, **begin), train_cfg=train_cfg))
    runner.train()
    assert ("nothing will be averaged" in capfd.readouterr().out) == told
    assert bool(the_hook(runner).ema_model.steps) != told


def test_the_average_needs_no_gradient(tmp_path):
    runner = Runner.from_cfg(ema_config(tmp_path, dict(momentum=0.1), train_cfg=dict(by_epoch=True, max_epochs=1)))
    runner.train()
    average: nn.Module = the_hook(runner).ema_model
    assert all(p.grad is None and not p.requires_grad for p in average.parameters())
    assert all(p.requires_grad for p in runner.model.parameters())

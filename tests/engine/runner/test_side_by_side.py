"""Several runs in one process are each as if alone."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.hooks import Hook
from visuite.engine.logging import MessageHub, MMLogger, print_log
from visuite.engine.registry import DefaultScope
from visuite.engine.runner import Runner
from visuite.engine.visualization import Visualizer


class Meanwhile(Hook):
    """In every iteration of one run, let another run do something."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.runners: list[Runner] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        cfg = config(
            self.folder / str(runner.iter), train_cfg=dict(by_epoch=True, max_epochs=1), randomness=dict(seed=1)
        )
        other = Runner.from_cfg(cfg)
        other.train()
        self.runners.append(other)
        assert MessageHub.get_current_instance() is runner.message_hub
        assert MMLogger.get_current_instance() is runner.logger
        assert DefaultScope.get_current_instance() is runner.default_scope


def test_a_run_inside_another_disturbs_neither(tmp_path):
    alone = weights(Runner.from_cfg(config(tmp_path / "alone", randomness=dict(seed=3))).train())
    other_alone = Runner.from_cfg(
        config(tmp_path / "other", train_cfg=dict(by_epoch=True, max_epochs=1), randomness=dict(seed=1))
    ).train()
    meanwhile = Meanwhile(tmp_path / "inner")
    outer = Runner.from_cfg(config(tmp_path / "outer", custom_hooks=[meanwhile], randomness=dict(seed=3)))
    assert_same_bits(weights(outer.train()), alone)
    assert len(meanwhile.runners) == 15
    for inner in meanwhile.runners:
        assert_same_bits(weights(inner.model), weights(other_alone))
        assert inner.message_hub.get_info("max_epochs") == 1
    assert outer.message_hub.get_info("max_epochs") == 3
    assert len({id(one.visualizer) for one in [outer, *meanwhile.runners]}) == 16


def test_runs_in_turn_do_not_depend_on_each_other(tmp_path):
    first = [Runner.from_cfg(config(tmp_path / f"a{i}", randomness=dict(seed=i))) for i in range(2)]
    states = [weights(runner.train()) for runner in first]
    swapped = [Runner.from_cfg(config(tmp_path / f"b{i}", randomness=dict(seed=i))) for i in (1, 0)]
    for runner, expected in zip(swapped, states[::-1], strict=True):
        assert_same_bits(weights(runner.train()), expected)


def test_the_generators_outside_stay_as_they_are(tmp_path):
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    expected = torch.rand(3), np.random.rand(3).tolist(), random.random()
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    Runner.from_cfg(config(tmp_path)).train()
    assert torch.equal(torch.rand(3), expected[0])
    assert np.random.rand(3).tolist() == expected[1]
    assert random.random() == expected[2]


def test_a_part_looked_at_early_is_the_same_part(tmp_path):
    early = Runner.from_cfg(config(tmp_path / "early"))
    torch.manual_seed(99)
    start = weights(early.model)
    late = Runner.from_cfg(config(tmp_path / "late"))
    assert_same_bits(start, weights(late.model))
    assert_same_bits(weights(early.train()), weights(late.train()))


class Echo(Hook):
    """Say and draw something in every iteration through whatever is current, and let another run take a turn."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.other: Runner | None = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        print_log(f"{self.word} {runner.iter}", "current", level=logging.WARNING)
        Visualizer.get_current_instance().add_scalar(self.word, runner.iter, runner.iter)
        MessageHub.get_current_instance().update_info(self.word, runner.iter)
        if runner.iter == 1 and self.other is not None:
            self.other.train()


@pytest.mark.parametrize("nested", [False, True])
def test_runs_of_one_work_dir_in_one_second_keep_logs_and_curves_apart(tmp_path, monkeypatch, nested):
    monkeypatch.setattr(time, "strftime", lambda *args: "20300101_000000")
    hooks = [Echo("cat"), Echo("dog")]
    runners = [Runner.from_cfg(config(tmp_path, custom_hooks=[hook])) for hook in hooks]
    if nested:
        hooks[0].other = runners[1]
        runners[0].train()
    else:
        for runner in runners:
            runner.train()
    assert len({runner.log_dir for runner in runners}) == 2
    for runner, own, foreign in zip(runners, ("cat", "dog"), ("dog", "cat"), strict=True):
        log = next(Path(runner.log_dir).glob("*.log")).read_text()
        curves = Path(runner.log_dir, "vis_data", "scalars.json").read_text()
        assert [f"{own} {i}" in log for i in range(15)] == [True] * 15
        assert curves.count(f'"{own}"') == 15
        assert foreign not in log + curves
        assert runner.message_hub.get_info(own) == 14
        assert runner.message_hub.get_info(foreign) is None

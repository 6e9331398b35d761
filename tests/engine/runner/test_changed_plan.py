"""Resuming under a changed plan: the printed policy, held."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.engine.runner.test_resume import run_config
from tests.engine.runner.toy import assert_same_bits, weights
from visuite.engine.hooks import Hook
from visuite.engine.runner import Runner

SGD = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1, momentum=0.9))


class Watch(Hook):
    """Remember position, learning rate and the samples of every iteration."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.rates: dict[int, float] = {}
        self.epochs: list[int] = []
        self.batches: list[torch.Tensor] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.rates[runner.iter] = runner.optim_wrapper.get_lr()["lr"][0]
        self.epochs.append(runner.epoch)
        self.batches.append(data_batch[0])


@pytest.fixture
def stopped(tmp_path):
    """A run of 3 epochs of 5 iterations; its checkpoints are the places to go on from."""
    Runner.from_cfg(run_config(tmp_path, optim_wrapper=SGD)).train()
    return tmp_path


def go_on(folder, iteration: int, **changes: Any) -> tuple[Runner, Watch]:
    watch = Watch()
    changes = {"optim_wrapper": SGD, "custom_hooks": [watch], **changes}
    cfg = run_config(folder / "on", load_from=str(folder / f"iter_{iteration}.pth"), resume=True, **changes)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner, watch


def rates_of_a_whole_run(folder, **changes: Any) -> dict[int, float]:
    watch = Watch()
    Runner.from_cfg(run_config(folder, **{"optim_wrapper": SGD, "custom_hooks": [watch], **changes})).train()
    return watch.rates


def test_more_epochs_go_on_along_the_new_schedule(stopped, capfd):
    plan = dict(
        train_cfg=dict(by_epoch=True, max_epochs=5),
        param_scheduler=dict(type="CosineAnnealingLR", T_max=5, by_epoch=True, convert_to_iter_based=True),
    )
    runner, watch = go_on(stopped, 7, **plan)
    assert runner.epoch == 5
    assert runner.iter == 25
    whole = rates_of_a_whole_run(stopped / "whole", **plan)
    assert list(watch.rates) == list(range(7, 25))
    assert watch.rates == pytest.approx({i: whole[i] for i in range(7, 25)}, rel=1e-12)
    log = "".join(capfd.readouterr())
    assert "max_epochs: 3 -> 5" in log
    assert "T_max of CosineAnnealingLR: 15 -> 25" in log
    assert "the optimizer keeps its moments" in log


def test_an_unchanged_plan_says_nothing(stopped, capfd):
    go_on(stopped, 7)
    assert "changed plan" not in "".join(capfd.readouterr())


def test_another_batch_size_goes_on_at_the_first_batch_not_begun(stopped, capfd):
    # 20 samples: 7 iterations of 4 are one epoch and 8 samples; with batches of 2, that is batch 4 of 10.
    loader = {**run_config(stopped)["train_dataloader"], "batch_size": 2}
    runner, watch = go_on(stopped, 7, train_dataloader=loader)
    assert min(watch.rates) == 10 + 4
    assert runner.iter == 30
    assert watch.epochs.count(1) == 6
    assert "batch_size: 4 -> 2" in "".join(capfd.readouterr())
    # The samples are those that a run with the new batch size sees there.
    whole = Watch()
    Runner.from_cfg(
        run_config(stopped / "whole", optim_wrapper=SGD, train_dataloader=loader, custom_hooks=[whole])
    ).train()
    assert torch.equal(torch.cat(watch.batches), torch.cat(whole.batches[14:]))


def test_an_uneven_batch_size_repeats_no_sample(stopped):
    loader = {**run_config(stopped)["train_dataloader"], "batch_size": 7}
    _, watch = go_on(stopped, 7, train_dataloader=loader)  # 8 samples seen: two batches of 7 are begun
    assert watch.epochs.count(1) == 1
    assert watch.epochs.count(2) == 3


def test_iterations_stay_iterations(stopped):
    cfg = dict(train_cfg=dict(by_epoch=False, max_iters=15), param_scheduler=None)
    Runner.from_cfg(run_config(stopped / "iters", optim_wrapper=SGD, **cfg)).train()
    runner, watch = go_on(stopped / "iters", 6, train_cfg=dict(by_epoch=False, max_iters=20), param_scheduler=None)
    assert list(watch.rates) == list(range(6, 20))
    assert runner.iter == 20


def test_a_stream_goes_on_at_the_sample_it_had_come_to(stopped):
    def stream(batch_size: int) -> dict[str, Any]:
        loader = {**run_config(stopped)["train_dataloader"], "batch_size": batch_size}
        loader["sampler"] = dict(type="InfiniteSampler", shuffle=True)
        plan = dict(train_cfg=dict(by_epoch=False, max_iters=15), param_scheduler=None, optim_wrapper=SGD)
        return plan | dict(train_dataloader=loader)

    Runner.from_cfg(run_config(stopped / "iters", **stream(4))).train()
    runner, watch = go_on(stopped / "iters", 6, **stream(2))
    assert (min(watch.rates), runner.iter) == (6, 15)  # iterations stay iterations
    whole = Watch()
    longer = {**stream(2), "train_cfg": dict(by_epoch=False, max_iters=21)}
    Runner.from_cfg(run_config(stopped / "whole", **{**longer, "custom_hooks": [whole]})).train()
    assert torch.equal(torch.cat(watch.batches), torch.cat(whole.batches[12:]))  # 6 batches of 4 are 12 of 2


@pytest.mark.parametrize(("counts", "told"), [(1, "[3] -> [1]"), (2, "[3] -> [2]"), (3, None)])
def test_gradients_of_another_window_are_dropped(tmp_path, capfd, counts, told):
    def windows(length: int) -> dict[str, Any]:
        return dict(optim_wrapper={**SGD, "accumulative_counts": length})

    class Held(Hook):
        def before_train(self, runner):
            self.gradients = runner.optim_wrapper.pending_gradients()

    Runner.from_cfg(run_config(tmp_path, **windows(3))).train()
    held = Held()
    go_on(tmp_path, 7, **windows(counts), custom_hooks=[held])  # in the middle of a window
    log = "".join(capfd.readouterr())
    assert (held.gradients is None) is (told is not None)
    assert ("changed plan" in log) is (told is not None)
    assert f"accumulative_counts: {told}" in log or told is None


@pytest.mark.parametrize(
    ("optim", "told"),
    [
        (dict(optimizer=dict(type="AdamW", lr=0.1)), "optimizers: ['SGD'] -> ['AdamW']"),
        ({**SGD, "paramwise_cfg": dict(norm_decay_mult=0)}, "parameter groups: 1 -> 7"),
    ],
    ids=["class", "groups"],
)
def test_another_optimizer_begins_anew_and_says_so(stopped, capfd, optim, told):
    class Moments(Hook):
        def before_train(self, runner):
            self.state = runner.optim_wrapper.optimizer.state_dict()["state"]

    moments = Moments()
    runner, _ = go_on(stopped, 7, optim_wrapper={"type": "OptimWrapper", **optim}, custom_hooks=[moments, Watch()])
    assert runner.iter == 15
    assert not moments.state
    log = "".join(capfd.readouterr())
    assert told in log
    assert "the optimizer begins anew" in log
    assert "keeps its moments" not in log


def test_plans_of_older_checkpoints_go_on(stopped, capfd):
    path = stopped / "iter_7.pth"
    checkpoint = torch.load(path, weights_only=True)
    for name in ("optimizers", "accumulative_counts"):
        del checkpoint["meta"]["plan"][name]
    torch.save(checkpoint, path)
    go_on(stopped, 7)
    assert "changed plan" not in "".join(capfd.readouterr())


def test_the_learning_rate_of_the_config_counts_and_moments_stay(stopped, capfd):
    faster = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.2, momentum=0.9))
    saved = torch.load(stopped / "iter_7.pth", weights_only=True)["optimizer"]["state"]
    seen = {}

    class Moments(Hook):
        def before_train(self, runner):
            seen.update(
                {
                    n: s["momentum_buffer"].clone()
                    for n, s in runner.optim_wrapper.optimizer.state_dict()["state"].items()
                }
            )

    watch = Watch()
    cfg = run_config(
        stopped / "on",
        load_from=str(stopped / "iter_7.pth"),
        resume=True,
        optim_wrapper=faster,
        custom_hooks=[watch, Moments()],
    )
    Runner.from_cfg(cfg).train()
    whole = rates_of_a_whole_run(stopped / "whole", optim_wrapper=faster)
    assert watch.rates == pytest.approx({i: whole[i] for i in range(7, 15)}, rel=1e-12)
    assert_same_bits(seen, {n: s["momentum_buffer"] for n, s in saved.items()})
    assert "lr of group 0: 0.1 -> 0.2" in "".join(capfd.readouterr())


def test_automatic_scaling_holds_for_the_new_batch_size(stopped):
    loader = {**run_config(stopped)["train_dataloader"], "batch_size": 2}
    scale = dict(enable=True, base_batch_size=4)
    _, watch = go_on(stopped, 5, train_dataloader=loader, auto_scale_lr=scale, param_scheduler=None)
    assert set(watch.rates.values()) == {0.05}


def test_a_plateau_keeps_what_it_has_seen(tmp_path):
    plateau = dict(type="ReduceOnPlateauLR", monitor="toy/count", rule="greater", patience=0, factor=0.5)
    Runner.from_cfg(run_config(tmp_path, optim_wrapper=SGD, param_scheduler=plateau)).train()
    more = dict(train_cfg=dict(by_epoch=True, max_epochs=5), param_scheduler=plateau)
    _, watch = go_on(tmp_path, 11, **more)  # two validations seen, the second no better: halved once
    assert watch.rates[11] == pytest.approx(0.05)


def test_schedules_of_another_kind_begin_anew(stopped, capfd):
    runner, watch = go_on(stopped, 7, param_scheduler=dict(type="MultiStepLR", milestones=[1], by_epoch=True))
    assert watch.rates[7] == pytest.approx(0.01)
    assert "schedules: ['CosineAnnealingLR'] -> ['MultiStepLR']" in "".join(capfd.readouterr())
    assert weights(runner.model)

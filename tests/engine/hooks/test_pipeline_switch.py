"""Switching pipelines, losses and heads between epochs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.engine.hooks.data import PipedData, Tags, ToPoint
from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import ToyNet, assert_same_bits, config, weights
from visuite.engine.dataset.feed import restart_workers
from visuite.engine.hooks import PipelineSwitchHook, SwitchRecipeHook
from visuite.engine.registry import MODELS
from visuite.engine.runner import Runner

PIPED = dict(type="PipedData", pipeline=[dict(type="ToPoint", tag=0)])
WORKERS = dict(num_workers=2, persistent_workers=True, prefetch_factor=3)
SWITCH = dict(type="PipelineSwitchHook", switch_epoch=2, switch_pipeline=[dict(type="ToPoint", tag=1)])
AS_RECIPE = dict(type="SwitchRecipeHook", schedule=[dict(action_epoch=2, train_pipeline=SWITCH["switch_pipeline"])])
NESTED = {
    "plain": PIPED,
    "repeated": dict(type="RepeatDataset", times=1, dataset=PIPED),
    "concatenated": dict(type="ConcatDataset", datasets=[PIPED, dict(type="RepeatDataset", times=1, dataset=PIPED)]),
    "mixing": dict(type="MixedData", dataset=PIPED, pipeline=[dict(type="ToPoint", tag=0)]),
}


def switch_config(work_dir, *hooks, dataset=PIPED, loader=WORKERS, **changes):
    cfg = config(
        work_dir,
        custom_hooks=list(hooks),
        train_cfg=dict(by_epoch=True, max_epochs=4),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False)),
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        **changes,
    )
    cfg["train_dataloader"] = {**cfg["train_dataloader"], "dataset": dataset, **loader}
    return cfg


@pytest.mark.parametrize("name", NESTED)
def test_no_sample_of_the_old_pipeline_comes_after_the_switch(tmp_path, name):
    tags = Tags()
    Runner.from_cfg(switch_config(tmp_path, SWITCH, tags, dataset=NESTED[name])).train()
    assert tags.seen == {0: {0}, 1: {0}, 2: {1}, 3: {1}}
    assert tags.count == 4 * (40 if name == "concatenated" else 20)


@pytest.mark.parametrize("loader", [{}, WORKERS], ids=["0", "2"])
@pytest.mark.parametrize("hook", [SWITCH, AS_RECIPE], ids=["pipeline", "recipe"])
@pytest.mark.parametrize("stop", [7, 10, 13])
def test_resuming_around_the_switch_gives_the_same_bits(tmp_path, stop, hook, loader):
    never_stopped = weights(Runner.from_cfg(switch_config(tmp_path / "whole", hook, loader={})).train())
    with pytest.raises(Stop):
        Runner.from_cfg(switch_config(tmp_path / "parts", hook, StopAt(stop), loader=loader)).train()
    tags = Tags()
    resumed = Runner.from_cfg(switch_config(tmp_path / "parts", hook, tags, resume=True, loader=loader))
    assert_same_bits(weights(resumed.train()), never_stopped)
    assert tags.seen == {epoch: {int(epoch >= 2)} for epoch in range(stop // 5, 4)}


def test_a_hook_switches_in_each_run_that_has_it(tmp_path):
    hook = PipelineSwitchHook(1, [ToPoint(4)])
    for folder in ("one", "two"):
        tags = Tags()
        Runner.from_cfg(switch_config(tmp_path / folder, hook, tags, loader={})).train()
        assert tags.seen == {0: {0}, 1: {4}, 2: {4}, 3: {4}}


def test_workers_are_restarted_once_and_the_old_ones_end(tmp_path):
    class Pids(Tags):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            workers = runner.train_dataloader._iterator._workers
            self.seen.setdefault(runner.epoch, set()).update(worker.pid for worker in workers)
            self.workers = workers if runner.epoch == 1 else self.workers if runner.epoch else workers

        before_train_iter = Tags.before_val_iter

    pids = Pids()
    Runner.from_cfg(switch_config(tmp_path, SWITCH, pids)).train()
    assert pids.seen[0] == pids.seen[1]
    assert pids.seen[2] == pids.seen[3]
    assert not pids.seen[1] & pids.seen[2]
    assert not any(worker.is_alive() for worker in pids.workers)


def test_a_loader_without_workers_has_nothing_to_restart():
    restart_workers(torch.utils.data.DataLoader([1, 2]))
    restart_workers([1, 2])


def test_faults_of_the_new_pipeline_show_before_training(tmp_path):
    tags = Tags()
    wrong = dict(SWITCH, switch_pipeline=[dict(type="ToPiont")])
    with pytest.raises(KeyError, match=r"ToPiont.*did you mean 'ToPoint'"):
        Runner.from_cfg(switch_config(tmp_path, wrong, tags, loader={})).train()
    with pytest.raises(TypeError, match=r"SeededDataset of ToyData.* has no pipeline"):
        Runner.from_cfg(switch_config(tmp_path, SWITCH, tags, loader={}, dataset=dict(type="ToyData"))).train()
    cfg = switch_config(tmp_path, SWITCH, tags, loader={})
    with pytest.raises(ValueError, match="PipelineSwitchHook switches at an epoch"):
        Runner.from_cfg({**cfg, "train_cfg": dict(by_epoch=False, max_iters=5)}).train()
    assert not tags.seen


# ---------------------------------------------------------------------- recipes


@MODELS.register_module()
class ScaledLoss(nn.Module):
    """Cross entropy, scaled."""

    def __init__(self, scale: float = 1.0, learned: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale)) if learned else scale

    def forward(self, scores, labels):
        return self.scale * nn.functional.cross_entropy(scores, labels)


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loss_module = ScaledLoss()
        self.use_l1 = False


@MODELS.register_module()
class HeadedNet(ToyNet):
    """The toy with a loss in a head, and a preprocessor that augments batches."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Head()
        self.data_preprocessor.batch_augments = "mixup"
        self.data_preprocessor.build_batch_augments = lambda cfg: f"built {cfg['name']}"

    def forward(self, inputs, labels=None, mode="tensor"):
        if mode != "loss":
            return super().forward(inputs, labels, mode)
        return {"loss": self.head.loss_module(self.net(inputs), labels)}


SCHEDULE = [
    dict(action_epoch=1, train_augments=None, loss=dict(type="ScaledLoss", scale=0.0)),
    dict(action_epoch=3, pipeline=[dict(type="ToPoint", tag=3)], head=dict(use_l1=True)),
    dict(action_epoch=2, train_pipeline=[dict(type="ToPoint", tag=2)], batch_augments=dict(name="cutmix")),
]


class Recipe(Tags):
    """Write down what is in force in each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.force = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model = runner.model
        now = (model.data_preprocessor.batch_augments, float(outputs["loss"]) > 0, model.head.use_l1)
        assert self.force.setdefault(runner.epoch, now) == now


def recipe_config(work_dir, *hooks, schedule=SCHEDULE, **changes):
    recipe = dict(type="SwitchRecipeHook", schedule=schedule)
    return switch_config(work_dir, recipe, *hooks, loader={}, model=dict(type="HeadedNet"), **changes)


IN_FORCE = {
    0: ("mixup", True, False),
    1: (None, False, False),
    2: ("built cutmix", False, False),
    3: ("built cutmix", False, True),
}


def test_a_recipe_changes_what_it_names_and_nothing_else(tmp_path):
    recipe = Recipe()
    Runner.from_cfg(recipe_config(tmp_path, recipe)).train()
    assert recipe.force == IN_FORCE
    assert recipe.seen == {0: {0}, 1: {0}, 2: {2}, 3: {3}}


@pytest.mark.parametrize("stop", [5, 8, 17])
def test_a_resumed_recipe_is_in_force_at_once(tmp_path, stop):
    never_stopped = weights(Runner.from_cfg(recipe_config(tmp_path / "whole")).train())
    with pytest.raises(Stop):
        Runner.from_cfg(recipe_config(tmp_path / "parts", StopAt(stop))).train()
    recipe = Recipe()
    resumed = Runner.from_cfg(recipe_config(tmp_path / "parts", recipe, resume=True))
    assert_same_bits(weights(resumed.train()), never_stopped)
    assert recipe.force == {epoch: IN_FORCE[epoch] for epoch in range(stop // 5, 4)}


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (dict(loss=dict(type="ScaledLoss")), ValueError, "has no action_epoch"),
        (dict(action_epoch=1, los=dict()), ValueError, "no action 'los'; did you mean 'loss'"),
        (dict(action_epoch=1, loss=dict(type="ScaledLos")), KeyError, "did you mean 'ScaledLoss'"),
        (dict(action_epoch=1, loss=dict(type="ScaledLoss", learned=True)), TypeError, r"weights .*\(scale\)"),
        (dict(action_epoch=1, head=dict(use_l2=True)), AttributeError, "no 'use_l2'.*did you mean 'use_l1'"),
        (dict(action_epoch=1, skip_type_keys=["ToPoint"]), TypeError, "no training data set skips"),
    ],
)
def test_faults_of_a_recipe_show_before_training(tmp_path, item, error, message):
    tags = Tags()
    with pytest.raises(error, match=message):
        Runner.from_cfg(recipe_config(tmp_path, tags, schedule=[item])).train()
    assert not tags.seen


def test_one_epoch_has_one_recipe():
    with pytest.raises(ValueError, match="two items of the schedule are for epoch 3"):
        SwitchRecipeHook([dict(action_epoch=3, loss=None), dict(action_epoch=3, head={})])


def test_transforms_can_be_left_out_late(tmp_path):
    tags = Tags()
    schedule = dict(type="SwitchRecipeHook", schedule=[dict(action_epoch=2, skip_type_keys=["ToPoint"])])
    Runner.from_cfg(switch_config(tmp_path, schedule, tags, dataset=NESTED["mixing"])).train()
    assert tags.seen == {0: {0}, 1: {0}, 2: {7}, 3: {7}}


def test_ready_made_transforms_switch_too(tmp_path):
    tags = Tags()
    hook = PipelineSwitchHook(1, [ToPoint(4)])
    data = PipedData(pipeline=[ToPoint(2)])
    Runner.from_cfg(switch_config(tmp_path, hook, tags, dataset=data, loader={})).train()
    assert tags.seen == {0: {2}, 1: {4}, 2: {4}, 3: {4}}

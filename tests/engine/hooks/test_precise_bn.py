"""Statistics of batch norms measured anew."""

from __future__ import annotations

import pytest
import torch

from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.hooks import Hook, PreciseBNHook
from visuite.engine.registry import DATASETS, HOOKS
from visuite.engine.runner import Runner


@DATASETS.register_module()
class StillData:
    """Points without noise, so that their moments are known."""

    metainfo = {"classes": ("minus", "plus")}

    def __init__(self, size: int = 22) -> None:
        self.points = torch.randn(size, 4, generator=torch.Generator().manual_seed(0)) * 3 + 5

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        return self.points[index], int(self.points[index].sum() > 20)


def run(tmp_path, hook, **changes):
    cfg = config(tmp_path, custom_hooks=[hook], **changes)
    cfg["train_dataloader"] = {**cfg["train_dataloader"], "dataset": dict(type="StillData")}
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_the_moments_are_those_of_all_samples(tmp_path):
    """22 samples in batches of 4, the last one smaller: it counts for as much as it holds."""
    runner = run(tmp_path, dict(type="PreciseBNHook", num_samples=1000))
    linear, norm = runner.model.net[0], runner.model.net[1]
    values = linear(StillData().points)
    torch.testing.assert_close(norm.running_mean, values.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, values.var(0, correction=0), rtol=1e-4, atol=1e-4)
    assert norm.num_batches_tracked == 18  # of training alone
    assert norm.momentum == 0.1
    assert norm.training
    assert not norm._forward_pre_hooks


class Counted(Hook):
    """Count the batches that come to the batch norm after the training epoch's own."""

    def __init__(self):
        self.seen = []

    def before_train(self, runner):
        runner.model.net[1].register_forward_hook(lambda norm, args, out: self.seen.append(len(args[0])))


@pytest.mark.parametrize("by_epoch", [True, False])
def test_how_many_samples_and_how_often(tmp_path, by_epoch):
    counted = Counted()
    train_cfg = dict(by_epoch=True, max_epochs=3) if by_epoch else dict(by_epoch=False, max_iters=12, val_interval=100)
    hook = dict(type="PreciseBNHook", num_samples=7, interval=2 if by_epoch else 5)
    cfg = config(tmp_path, custom_hooks=[counted, hook], train_cfg=train_cfg, param_scheduler=None)
    cfg["val_cfg"] = cfg["val_dataloader"] = cfg["val_evaluator"] = None
    Runner.from_cfg(cfg).train()
    measured = 1 if by_epoch else 2
    assert len(counted.seen) == (15 if by_epoch else 12) + 2 * measured  # 7 samples are 2 batches of 4


@pytest.mark.parametrize("workers", [0, 2])
def test_training_goes_on_as_if_nothing_had_been_measured(tmp_path, workers):
    def trained(name, hooks, **train_cfg):
        cfg = config(tmp_path / name, custom_hooks=hooks, train_cfg=train_cfg)
        cfg["train_dataloader"].update(num_workers=workers, persistent_workers=workers > 0)
        cfg["param_scheduler"] = None
        runner = Runner.from_cfg(cfg)
        runner.train()
        return {name: value for name, value in weights(runner.model).items() if "running" not in name}

    hook = [dict(type="PreciseBNHook", num_samples=9, interval=2)]
    for kind in (dict(by_epoch=True, max_epochs=4), dict(by_epoch=False, max_iters=13, val_interval=5)):
        assert_same_bits(trained("a", hook, **kind), trained("b", [], **kind))


def test_what_is_held_still_stays(tmp_path):
    class Hold(Hook):
        priority = "VERY_HIGH"

        def after_train_epoch(self, runner):
            runner.model.net[1].eval()
            self.before = runner.model.net[1].running_mean.clone()

    hold = Hold()
    cfg = config(tmp_path, custom_hooks=[hold, PreciseBNHook(8)], train_cfg=dict(by_epoch=True, max_epochs=1))
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert torch.equal(runner.model.net[1].running_mean, hold.before)


def test_wrong_arguments():
    assert HOOKS.get("mmpretrain.PreciseBNHook") is PreciseBNHook
    for arguments in (dict(num_samples=0), dict(interval=0)):
        with pytest.raises(ValueError, match="positive"):
            PreciseBNHook(**arguments)

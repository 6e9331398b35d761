"""A loss that is not a number ends the run, and leaves a note of what was in the batch."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
import torch

from tests.engine.runner.toy import ToyData, ToyNet, config
from visuite.engine.hooks import CheckInvalidLossHook, Hook, InvalidLossError
from visuite.engine.hooks.check_invalid_loss import describe_samples
from visuite.engine.registry import DATASETS, MODELS
from visuite.engine.runner import Runner
from visuite.engine.structures import BaseDataElement


@MODELS.register_module()
class FragileNet(ToyNet):
    """The toy, with a second loss that some samples spoil."""

    def forward(self, inputs, labels=None, mode="tensor"):
        losses = super().forward(inputs, labels, mode)
        return {**losses, "loss_extra": inputs[:, 0].sum() * 0} if mode == "loss" else losses


@DATASETS.register_module()
class SpoiltData(ToyData):
    """Sample 13 holds something that is not finite."""

    def __init__(self, value: float = math.nan) -> None:
        super().__init__()
        self.value = value

    def __getitem__(self, index):
        point, label = super().__getitem__(index)
        if index == 13:
            point[0] = self.value
        return point, label


class Reads(Hook):
    """Count the iterations."""

    def __init__(self) -> None:
        self.iterations = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.iterations += 1


def spoilt_config(work_dir, interval, value=math.nan, **changes):
    hook = dict(type="CheckInvalidLossHook", interval=interval)
    reads = Reads()
    cfg = config(work_dir, model=dict(type="FragileNet"), custom_hooks=[hook, reads], val_cfg=None, val_dataloader=None,
                 val_evaluator=None, **changes)  # fmt: skip
    cfg["train_dataloader"] = {**cfg["train_dataloader"], "dataset": dict(type="SpoiltData", value=value)}
    return cfg, reads


def reported(work_dir):
    (path,) = work_dir.glob("invalid_loss*.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    "train_cfg", [dict(by_epoch=True, max_epochs=3), dict(by_epoch=False, max_iters=15)], ids=["epochs", "iterations"]
)
def test_the_run_stops_and_names_the_batch(tmp_path, value, train_cfg):
    cfg, _ = spoilt_config(tmp_path, 1, value, train_cfg=train_cfg)
    with pytest.raises(InvalidLossError, match=r"loss_extra is nan.* at iteration \d+ .*invalid_loss_iter") as caught:
        Runner.from_cfg(cfg).train()
    report = reported(tmp_path)
    assert 13 in report["indices"]
    assert len(report["indices"]) == 4
    assert report["losses"]["loss_extra"] == "nan"
    assert f"iteration {report['iteration']} (epoch {report['epoch']}, batch {report['batch']})" in str(caught.value)
    assert report["seed"] == 7


@pytest.mark.parametrize("sampler", ["DefaultSampler", "InfiniteSampler"])
def test_losses_are_read_together_and_the_first_bad_batch_is_named(tmp_path, sampler):
    stops = {}
    for interval in (1, 7):
        cfg, reads = spoilt_config(tmp_path / str(interval), interval, train_cfg=dict(by_epoch=False, max_iters=40))
        cfg["train_dataloader"]["sampler"] = dict(type=sampler, shuffle=True)
        cfg["default_hooks"] = dict(checkpoint=None)
        with pytest.raises(InvalidLossError):
            Runner.from_cfg(cfg).train()
        stops[interval] = reads.iterations
    one, seven = reported(tmp_path / "1"), reported(tmp_path / "7")
    assert one == seven
    assert 13 in one["indices"]
    assert stops[1] == one["iteration"]
    assert stops[7] % 7 == 0
    assert stops[7] >= stops[1]


def test_no_checkpoint_is_written_with_spoilt_weights(tmp_path):
    cfg, _ = spoilt_config(tmp_path, 1000)
    cfg["default_hooks"] = dict(checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False))
    with pytest.raises(InvalidLossError):
        Runner.from_cfg(cfg).train()
    last = reported(tmp_path)["iteration"]
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == sorted(f"iter_{i}.pth" for i in range(1, last))


def test_the_end_of_training_reads_what_is_left(tmp_path):
    cfg, _ = spoilt_config(tmp_path, 1000, default_hooks=dict(checkpoint=None))
    with pytest.raises(InvalidLossError):
        Runner.from_cfg(cfg).train()


def test_a_sound_run_leaves_nothing(tmp_path):
    cfg, _ = spoilt_config(tmp_path, 2, value=0.5)
    Runner.from_cfg(cfg).train()
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("outputs", "stops"),
    [
        (dict(loss=torch.tensor(1.0), acc=torch.tensor(math.nan)), False),  # an accuracy of no sample is no fault
        (dict(loss_d=1.0, loss_g=torch.tensor(math.inf)), True),
        (dict(loss=math.nan), True),
        (dict(loss=torch.tensor(1e30, dtype=torch.bfloat16)), False),
        (dict(), False),
        (None, False),
    ],
)
def test_what_counts_as_a_loss(tmp_path, outputs, stops):
    runner = Runner.from_cfg(config(tmp_path))
    hook = CheckInvalidLossHook(1)
    with pytest.raises(InvalidLossError) if stops else contextlib.nullcontext():
        hook.after_train_iter(runner, 0, None, outputs)


def test_samples_tell_where_they_are_from():
    samples = [BaseDataElement(metainfo=dict(img_path=f"{i}.png", img_id=i, scale=2)) for i in range(3)]
    expected = [dict(img_path=f"{i}.png", img_id=i) for i in range(3)]
    assert describe_samples({"inputs": torch.ones(3), "data_samples": samples}) == expected
    assert describe_samples({"inputs": 1, "data_samples": [samples[:1], samples[1:]]}) == expected
    branches = {"teacher": samples[:1], "student": samples[1:]}
    assert describe_samples({"inputs": {}, "data_samples": branches}) == expected
    assert describe_samples({"inputs": 1, "data_samples": [dict(img_id=i, scale=2) for i in (4, 5)]}) == [
        dict(img_id=4),
        dict(img_id=5),
    ]
    assert describe_samples([torch.ones(3), [1, 2]]) == []
    assert describe_samples({"inputs": 1}) == []
    assert describe_samples(torch.ones(3)) == []


def test_an_interval_is_positive():
    with pytest.raises(ValueError, match="at least 1"):
        CheckInvalidLossHook(0)

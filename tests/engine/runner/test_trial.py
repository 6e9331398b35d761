"""Trying a config: a few iterations of everything, or a few samples by heart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runner.toy import config
from visuite.engine.config import Config
from visuite.engine.dataset import BaseDataset
from visuite.engine.registry import DATASETS
from visuite.engine.runner import Runner, dev_run, overfitting
from visuite.engine.runner.trial import OVERFIT_ITERS


@DATASETS.register_module(force=True)
class ToyRecords(BaseDataset):
    """Points with labels, more of them in training than in validation; `test_mode` leaves out the noise."""

    def __init__(self, size: int = 30, **kwargs: object) -> None:
        self.size = size
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        import torch

        points = torch.randn(self.size, 4, generator=torch.Generator().manual_seed(self.size))
        return [dict(point=p.tolist(), label=i % 2) for i, p in enumerate(points)]

    def prepare_data(self, index: int) -> tuple:
        import torch

        record = self.get_data_info(index)
        noise = 0.0 if self.test_mode else 0.01 * torch.randn(4)
        return torch.tensor(record["point"]) + noise, record["label"]


@pytest.mark.parametrize("train_cfg", [dict(by_epoch=True, max_epochs=50), dict(by_epoch=False, max_iters=900)])
def test_a_development_run_comes_by_everything(tmp_path, train_cfg, capsys):
    cfg = Config(config(tmp_path, train_cfg=dict(val_interval=10, val_begin=5, **train_cfg), log_level="INFO"))
    cfg.test_dataloader, cfg.test_cfg, cfg.test_evaluator = cfg.val_dataloader, {}, cfg.val_evaluator
    timer = dev_run(cfg, 2)
    assert [(stage, iterations) for stage, _, iterations, _ in timer.rows] == [
        ("train", 2), ("val", 2), ("save", 0), ("load", 0), ("test", 2),
    ]  # fmt: skip
    assert all(seconds > 0 and memory > 0 for _, seconds, _, memory in timer.rows)
    assert "peak memory" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [tmp_path / "dev_run"]
    assert "num_batch_per_epoch" not in cfg.train_dataloader  # the config itself is left alone


def test_a_trial_takes_at_least_one(tmp_path):
    with pytest.raises(ValueError, match="at least one iteration, not 0"):
        dev_run(Config(config(tmp_path)), 0)
    with pytest.raises(ValueError, match="at least one sample, not 0"):
        overfitting(Config(config(tmp_path)), 0)
    with pytest.raises(ValueError, match=r"val_dataloader: overfitting is seen in the validation"):
        overfitting(Config(config(tmp_path, val_dataloader=None)), 3)


def test_overfitting_learns_the_same_samples_by_heart(tmp_path):
    cfg = Config(config(tmp_path, train_cfg=dict(by_epoch=True, max_epochs=60), param_scheduler=None))
    cfg.model.width = 64
    cfg.train_dataloader.dataset = dict(type="ToyRecords", size=30)
    cfg.val_dataloader.dataset = dict(type="ToyRecords", size=17, test_mode=True, ann_file="val.json")
    few = overfitting(cfg, 6)
    runner = Runner.from_cfg(few)
    runner.train()
    learnt, seen = runner.train_dataloader.dataset, runner.val_dataloader.dataset
    assert len(learnt) == len(seen) == 6
    assert seen.test_mode
    assert not learnt.test_mode
    assert learnt.get_data_info(0)["point"] == seen.get_data_info(0)["point"]
    assert OVERFIT_ITERS <= runner.iter < OVERFIT_ITERS + 120
    metrics = runner.val()
    assert metrics["toy/accuracy"] == 1.0
    assert metrics["toy/count"] == 6
    assert runner.val_evaluator.metrics[0].part_of_data
    assert Path(runner.work_dir).name == "overfit"


def records(**kwargs: object) -> dict:
    return dict(type="ToyRecords", **kwargs)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda one: dict(type="RepeatDataset", times=4, dataset=one),
        lambda one: dict(type="ConcatDataset", datasets=[one, records(size=3)]),
        lambda one: dict(type="ClassBalancedDataset", dataset=dict(type="RepeatDataset", dataset=one)),
        lambda one: dict(
            type="RepeatDataset", times=3, dataset=dict(type="MultiImageMixDataset", pipeline=[], dataset=one)
        ),
    ],
)
def test_overfitting_reaches_into_wrappers(tmp_path, wrapped):
    cfg = Config(config(tmp_path, train_cfg=dict(by_epoch=False, max_iters=5, val_interval=5), param_scheduler=None))
    cfg.train_dataloader.dataset = wrapped(records(size=30))
    cfg.val_dataloader.dataset = dict(type="RepeatDataset", times=1, dataset=records(size=17, test_mode=True))
    few = overfitting(cfg, 3)
    assert cfg.train_dataloader.dataset == wrapped(records(size=30))  # the config itself is left alone
    runner = Runner.from_cfg(few)
    runner.train()
    assert runner.iter == 5  # a length in iterations is the user's own
    assert len(runner.train_dataloader.dataset) == len(runner.val_dataloader.dataset) == 3
    assert runner.val_dataloader.dataset.get_data_info(2)["label"] == 0
    assert runner.val_dataloader.dataset.size == 30


def test_a_development_run_is_of_the_configs_own_kind(tmp_path):
    class Mine(Runner):
        made = 0

        def train(self):
            Mine.made += 1
            return super().train()

    dev_run(Config(config(tmp_path)), 1, Mine)
    assert Mine.made == 1


def test_metrics_read_the_annotations_of_the_training_data(tmp_path):
    cfg = Config(config(tmp_path))
    cfg.train_dataloader.dataset = dict(type="ToyRecords", ann_file="annotations/train.json")
    cfg.val_dataloader.dataset = dict(type="ToyRecords", ann_file="annotations/val.json")
    cfg.val_evaluator = [dict(type="ToyAccuracy"), dict(type="Other", ann_file="data/set/annotations/val.json")]
    few = overfitting(cfg, 2)
    assert few.val_evaluator[1].ann_file == "data/set/annotations/train.json"

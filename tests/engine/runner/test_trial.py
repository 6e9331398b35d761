"""Trying a config: a few iterations of everything, or a few samples by heart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runner.toy import config
from visuite.engine.config import Config
from visuite.engine.dataset import BaseDataset
from visuite.engine.registry import DATASETS
from visuite.engine.runner import Runner, dev_run, overfitting


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
    assert len(runner.train_dataloader.dataset) == len(runner.val_dataloader.dataset) == 6
    assert runner.val_dataloader.dataset.test_mode
    assert not runner.train_dataloader.dataset.test_mode
    one, other = (runner.train_dataloader.dataset.get_data_info(0), runner.val_dataloader.dataset.get_data_info(0))
    assert one["point"] == other["point"]
    assert runner.val()["toy/accuracy"] == 1.0
    assert Path(runner.work_dir).name == "overfit"


def test_metrics_read_the_annotations_of_the_training_data(tmp_path):
    cfg = Config(config(tmp_path))
    cfg.train_dataloader.dataset = dict(type="ToyRecords", ann_file="annotations/train.json")
    cfg.val_dataloader.dataset = dict(type="ToyRecords", ann_file="annotations/val.json")
    cfg.val_evaluator = [dict(type="ToyAccuracy"), dict(type="Other", ann_file="data/set/annotations/val.json")]
    few = overfitting(cfg, 2)
    assert few.val_evaluator[1].ann_file == "data/set/annotations/train.json"

"""Try a config before trusting it with days: a few iterations of everything, or a few samples learnt by heart."""

from __future__ import annotations

import copy
import math
import time
from pathlib import Path
from typing import Any

from visuite.engine.config import Config
from visuite.engine.hooks import Hook
from visuite.engine.hooks.progress import memory_in_use
from visuite.engine.registry import BadValueError
from visuite.engine.runner.runner import Runner

STAGES = ("train", "val", "save", "load", "test")
#: How long overfitting lasts at least, where its length is in epochs: those of a few samples are short.
OVERFIT_ITERS = 500


class StageTimer(Hook):
    """Measure what training, validation, testing and writing checkpoints take.

    `rows` holds (stage, seconds, iterations, peak memory in MiB) of each that has run. Validations in between do not
    count for training.
    """

    priority = "HIGHEST"

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, int, int]] = []
        self._since: dict[str, float] = {}
        self._iterations: dict[str, int] = {}

    def _begin(self, stage: str) -> None:
        self._since[stage], self._iterations[stage] = time.perf_counter(), 0

    def _end(self, runner: Runner, stage: str) -> None:
        seconds = time.perf_counter() - self._since.pop(stage)
        self.rows.append((stage, seconds, self._iterations[stage], memory_in_use(runner.device)))
        self.rows.sort(key=lambda row: STAGES.index(row[0]))
        for around in self._since:
            self._since[around] += seconds

    def _before_epoch(self, runner: Runner, mode: str = "train") -> None:
        self._begin(mode)

    def _after_epoch(self, runner: Runner, mode: str = "train") -> None:
        self._end(runner, mode)

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None, mode: str = "train"
    ) -> None:
        self._iterations[mode] += 1

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """End the validation."""
        self._end(runner, "val")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """End the test."""
        self._end(runner, "test")

    def table(self) -> str:
        """Return the rows as a table."""
        lines = ["stage       iterations    seconds   per iteration   peak memory"]
        for stage, seconds, iterations, memory in self.rows:
            each = f"{seconds / iterations * 1e3:.1f} ms" if iterations else "-"
            lines.append(f"{stage:<10}{iterations:>12}{seconds:>11.2f}{each:>16}{memory:>10} MiB")
        return "\n".join(lines)


def dev_run(cfg: Config, iterations: int, runner_type: type[Runner] = Runner) -> StageTimer:
    """Run a few iterations of training, validation and testing, and write and read a checkpoint, on the real config.

    Everything goes to `dev_run` in the config's `work_dir`.

    Args:
        cfg: The config.
        iterations: How many of each.
        runner_type: The class of the run.

    Raises:
        ValueError: fewer than one.
    """
    if iterations < 1:
        raise BadValueError(f"a trial takes at least one iteration, not {iterations}")
    timer = StageTimer()
    runner = runner_type.from_cfg(shortened(cfg, iterations))
    runner.register_hook(timer)
    runner.train()
    for stage, act in (("save", runner.checkpointer.save), ("load", runner.checkpointer.load)):
        timer._begin(stage)
        act(str(Path(runner.work_dir, "dev_run.pth")))
        timer._end(runner, stage)
    if runner.spec.test_cfg is not None:
        runner.test()
    runner.logger.info(f"{iterations} iterations of each stage\n{timer.table()}")
    return timer


def shortened(cfg: Config, iterations: int) -> Config:
    """Return a config whose loops end after a few iterations: one epoch, cut short, and validation after it."""
    short = copy.deepcopy(cfg)
    for mode in ("train", "val", "test"):
        loader = short.get(f"{mode}_dataloader")
        if loader is not None:
            loader["num_batch_per_epoch"] = iterations
    train_cfg = short.get("train_cfg")
    if train_cfg is not None:
        length = "max_epochs" if "max_epochs" in train_cfg else "max_iters"
        train_cfg[length] = 1 if length == "max_epochs" else iterations
        train_cfg.update(val_begin=1, val_interval=1 if length == "max_epochs" else iterations)
        train_cfg.pop("dynamic_intervals", None)
    short.work_dir = str(Path(cfg.work_dir, "dev_run"))
    short.resume, short.load_from = False, None
    return short


def overfitting(cfg: Config, samples: int) -> Config:
    """Return a config that trains and evaluates on the same few samples of the training data.

    A model that cannot learn these by heart has a fault: in the loss, the labels or the learning rate. The plan stays
    (epochs, schedules, augmentation); where training goes by epochs, each sees the samples so often that there are at
    least `OVERFIT_ITERS` iterations in all. Of several training data sets it is the first that is learnt.

    Args:
        cfg: The config; its training data set must take `indices`, as all derived from `BaseDataset` do.
        samples: How many; the first ones.

    Raises:
        ValueError: fewer than one, or a config without training or validation.
    """
    if samples < 1:
        raise BadValueError(f"overfitting takes at least one sample, not {samples}")
    for mode, seen in (("train", "needs a training"), ("val", "is seen in the validation")):
        if cfg.get(f"{mode}_dataloader") is None:
            raise BadValueError(f"overfitting {seen}, and this config has none", f"{mode}_dataloader")
    few = copy.deepcopy(cfg)
    loader = few.train_dataloader
    train, source = _chosen(loader.dataset, samples)
    batch_size = loader["batch_size"] = min(loader.get("batch_size", 1), samples)
    epochs = (few.get("train_cfg") or {}).get("max_epochs")
    if epochs is not None:  # round after round, so that no batch holds a sample twice
        loader.pop("shuffle", None)
        loader["sampler"] = dict(type="InfiniteSampler", shuffle=True)
        loader["num_batch_per_epoch"] = max(math.ceil(OVERFIT_ITERS / epochs), math.ceil(samples / batch_size))
    loader["dataset"] = train
    val, same = innermost(few.val_dataloader.dataset), copy.deepcopy(source)
    for key in ("pipeline", "test_mode"):  # the training samples, seen as validation sees them
        if key in val:
            same[key] = val[key]
    few.val_dataloader["dataset"] = same
    _point_evaluators(few, val.get("ann_file"), same.get("ann_file"))
    few.work_dir = str(Path(cfg.work_dir, "overfit"))
    few.resume = False
    return few


def _chosen(dataset: Any, samples: int) -> tuple[Any, Any]:
    """Have a data set keep its first samples; also return the one inside, which reads them.

    Wrappers that mix samples stay, those that only repeat or join do not.
    """
    if "datasets" in dataset:
        return _chosen(dataset["datasets"][0], samples)
    if "dataset" not in dataset:
        dataset["indices"] = samples
        return dataset, dataset
    inside, source = _chosen(dataset["dataset"], samples)
    if "pipeline" not in dataset:
        return inside, source
    dataset["dataset"] = inside
    return dataset, source


def innermost(dataset: Any) -> Any:
    """Return the config of the data set inside all wrappers; of several side by side, that of the first."""
    while "dataset" in dataset or "datasets" in dataset:
        dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
    return dataset


def _point_evaluators(cfg: Config, old: str | None, new: str | None) -> None:
    """Have metrics that read annotations of their own read those of the training data."""
    if not old or not new:
        return
    evaluators = cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]
    for evaluator in evaluators:
        if str(evaluator.get("ann_file") or "").endswith(old):
            evaluator["ann_file"] = evaluator["ann_file"].removesuffix(old) + new

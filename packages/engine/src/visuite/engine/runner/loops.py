"""The loops: who asks for which batch, and when validation comes."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from visuite.engine.dataset.feed import all_batches, endless_batches, epoch_batches, is_part
from visuite.engine.dataset.seeding import kept_generators
from visuite.engine.evaluator import Evaluator
from visuite.engine.logging import print_log
from visuite.engine.registry import LOOPS
from visuite.engine.runner.build import build_dataloader, build_evaluator

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

Intervals = Sequence[tuple[int, int]]


class BaseLoop(ABC):
    """A way to go through a data loader.

    Args:
        runner: Who runs the loop.
        dataloader: A config or a built loader.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict[str, Any]) -> None:
        self._runner = runner
        self.dataloader = build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=runner.diff_rank_seed)

    @property
    def runner(self) -> Runner:
        """Who runs the loop."""
        return self._runner

    @abstractmethod
    def run(self) -> Any:
        """Go through the data."""

    def _show_dataset_meta(self) -> None:
        """Let pictures name classes: the visualizer draws with the meta information of this loop's data."""
        meta = getattr(self.dataloader.dataset, "metainfo", None)
        if meta is not None:
            self.runner.visualizer.dataset_meta = meta


class TrainLoop(BaseLoop):
    """What both training loops share: the position in the run, and when to validate.

    `iter` and `epoch` count what is finished. While hooks run after an iteration or an epoch, that one
    is not counted yet; `position()` is what a checkpoint written at any moment must continue from.

    Args:
        val_begin: The first epoch (iteration) that may be followed by validation.
        val_interval: Validate every so many epochs (iterations), and after the last.
        dynamic_intervals: `[(from, interval), ...]`, other intervals later in the run.
    """

    by_epoch: bool  # whether epochs or iterations measure the run

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        *,
        val_begin: int,
        val_interval: int,
        dynamic_intervals: Intervals | None,
    ) -> None:
        super().__init__(runner, dataloader)
        self._epoch = 0
        self._iter = 0
        self._batch = 0  # batches of the current epoch that are done
        self._doing: str | None = None  # 'iter' or 'epoch' while it is being finished
        self._validated = 0  # the iteration of the last validation
        self.val_begin = val_begin
        self.val_interval = val_interval
        self._milestones = [0, *(start for start, _ in dynamic_intervals or ())]
        self._intervals = [val_interval, *(interval for _, interval in dynamic_intervals or ())]
        self.stop_training = False
        self._show_dataset_meta()

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self._epoch

    @property
    def iter(self) -> int:
        """Finished iterations."""
        return self._iter

    @property
    @abstractmethod
    def max_epochs(self) -> int:
        """How many epochs the run has."""

    @property
    @abstractmethod
    def max_iters(self) -> int:
        """How many iterations the run has."""

    def position(self) -> dict[str, int]:
        """Return where a run that loads a checkpoint written now goes on."""
        ending_iter, ending_epoch = self._doing == "iter", self._doing == "epoch"
        return {
            "epoch": self._epoch + ending_epoch,
            "iter": self._iter + ending_iter,
            "batch": 0 if ending_epoch else self._batch + ending_iter,
            "validated": self._validated,
        }

    def restore(self, position: dict[str, int]) -> None:
        """Continue from a position; one of OpenMMLab's has `epoch` and `iter` alone."""
        self._epoch = position["epoch"]
        self._iter = position["iter"]
        self._batch = position.get("batch", self._infer_batch())
        self._validated = position.get("validated", self._iter)

    def _infer_batch(self) -> int:
        return 0

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train on one batch, with the hooks around it."""
        runner, batch = self.runner, {"batch_idx": idx, "data_batch": data_batch}
        runner.call_hook("before_train_iter", **batch)
        logged = runner.model.train_step(data_batch, runner.optim_wrapper)
        runner.call_hook("after_train_iter", **batch, outputs=logged)
        self._iter += 1

    @contextmanager
    def _ending_iter(self, idx: int) -> Iterator[None]:
        self._doing = "iter"
        yield
        self._doing = None
        self._batch = idx + 1

    @contextmanager
    def _ending_epoch(self) -> Iterator[None]:
        self._doing = "epoch"
        yield
        self._doing = None
        self._epoch += 1
        self._batch = 0

    def _decide_current_val_interval(self, done: int) -> None:
        self.val_interval = self._intervals[bisect.bisect(self._milestones, done) - 1]

    def _val_is_due(self, done: int, last: int) -> bool:
        """Tell whether validation comes now, which it does once at each of its points, resumed or not."""
        if self.runner.val_loop is None or done < max(self.val_begin, 1) or self._validated == self._iter:
            return False
        return done % self.val_interval == 0 or done == last

    def _validate(self) -> None:
        before, self._validated = self._validated, self._iter
        try:
            self.runner.val_loop.run()
        except BaseException:
            self._validated = before  # one that was broken off is still to come
            raise
        self.runner.model.train()


@LOOPS.register_module()
class EpochBasedTrainLoop(TrainLoop):
    """Train for a number of epochs.

    Args:
        max_epochs: How many.
        val_begin: The first epoch that may be followed by validation.
        val_interval: Validate every so many epochs, and after the last.
        dynamic_intervals: `[(epoch, interval), ...]`.
    """

    by_epoch = True

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: Intervals | None = None,
    ) -> None:
        super().__init__(
            runner, dataloader, val_begin=val_begin, val_interval=val_interval, dynamic_intervals=dynamic_intervals
        )
        if int(max_epochs) != max_epochs:
            raise ValueError(f"max_epochs is a whole number, not {max_epochs}")
        self._max_epochs = int(max_epochs)
        self._max_iters = self._max_epochs * len(self.dataloader)

    @property
    def max_epochs(self) -> int:
        """How many epochs the run has."""
        return self._max_epochs

    @property
    def max_iters(self) -> int:
        """How many iterations the run has."""
        return self._max_iters

    def _infer_batch(self) -> int:
        return max(0, self._iter - self._epoch * len(self.dataloader))

    def run(self) -> Any:
        """Train to the end and return the model."""
        self.runner.call_hook("before_train")
        self._validate_when_due()  # a run that was stopped between an epoch's checkpoint and its validation
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_when_due()
        self.runner.call_hook("after_train")
        return self.runner.model

    def _validate_when_due(self) -> None:
        self._decide_current_val_interval(self._epoch)
        if self._batch == 0 and self._val_is_due(self._epoch, self._max_epochs):
            self._validate()

    def run_epoch(self) -> None:
        """Train for what is left of one epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        for idx, data_batch in enumerate(epoch_batches(self.dataloader, self._epoch, self._batch), self._batch):
            with self._ending_iter(idx):
                self.run_iter(idx, data_batch)
        with self._ending_epoch():
            self.runner.call_hook("after_train_epoch")


@LOOPS.register_module()
class IterBasedTrainLoop(TrainLoop):
    """Train for a number of iterations, which hooks see as one long epoch.

    Args:
        max_iters: How many.
        val_begin: The first iteration that may be followed by validation.
        val_interval: Validate every so many iterations, and after the last.
        dynamic_intervals: `[(iteration, interval), ...]`.
    """

    by_epoch = False

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: Intervals | None = None,
    ) -> None:
        super().__init__(
            runner, dataloader, val_begin=val_begin, val_interval=val_interval, dynamic_intervals=dynamic_intervals
        )
        if int(max_iters) != max_iters:
            raise ValueError(f"max_iters is a whole number, not {max_iters}")
        self._max_iters = int(max_iters)

    @property
    def max_epochs(self) -> int:
        """One: the run is a single long epoch."""
        return 1

    @property
    def max_iters(self) -> int:
        """How many iterations the run has."""
        return self._max_iters

    def _infer_batch(self) -> int:
        return self._iter

    def run(self) -> Any:
        """Train to the end and return the model."""
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        self._validate_when_due()
        batches = endless_batches(self.dataloader, self._batch)
        while self._iter < self._max_iters and not self.stop_training:
            data_batch = next(batches)
            with self._ending_iter(self._batch):
                self.run_iter(self._batch, data_batch)
            self._validate_when_due()
        with self._ending_epoch():
            self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def _validate_when_due(self) -> None:
        self._decide_current_val_interval(self._iter)
        if self._val_is_due(self._iter, self._max_iters):
            self._validate()


class EvaluationLoop(BaseLoop):
    """Predict on every batch and hand the predictions to an evaluator.

    Args:
        evaluator: A config, a list of metric configs, or a built evaluator.
        fp16: Predict under autocast.
    """

    mode: str  # 'val' or 'test', which names the hooks and the model's method

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict[str, Any],
        evaluator: Evaluator | dict[str, Any] | list[Any],
        fp16: bool = False,
    ) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = build_evaluator(evaluator)
        for metric in self.evaluator.metrics if is_part(self.dataloader) else ():
            metric.part_of_data = True
        self.fp16 = fp16
        meta = getattr(self.dataloader.dataset, "metainfo", None)
        if meta is None:
            print_log(f"the {self.mode} data set has no metainfo: metrics get none", "current", level=30)
        else:
            self.evaluator.dataset_meta = meta

    def run(self) -> dict[str, float]:
        """Go through the data once and return the metrics."""
        self._show_dataset_meta()
        self.evaluator.begin()
        # Evaluating must not disturb the training's randomness, however often it comes.
        with kept_generators():
            self.runner.call_hook(f"before_{self.mode}")
            self.runner.call_hook(f"before_{self.mode}_epoch")
            self.runner.strategy.agree_on_buffers(self.runner.model)
            self.runner.model.eval()
            for idx, data_batch in enumerate(all_batches(self.dataloader)):
                self.run_iter(idx, data_batch)
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
            self.runner.call_hook(f"after_{self.mode}_epoch", metrics=metrics)
            self.runner.call_hook(f"after_{self.mode}")
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Predict on one batch, with the hooks around it."""
        self.runner.call_hook(f"before_{self.mode}_iter", batch_idx=idx, data_batch=data_batch)
        step = getattr(self.runner.model, f"{self.mode}_step")
        with torch.autocast(self.runner.device.type, enabled=self.fp16):
            outputs = step(data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(f"after_{self.mode}_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)


@LOOPS.register_module()
class ValLoop(EvaluationLoop):
    """Evaluate on the validation data."""

    mode = "val"


@LOOPS.register_module()
class TestLoop(EvaluationLoop):
    """Evaluate on the test data."""

    __test__ = False  # not a test case, whatever its name
    mode = "test"

"""Step the parameter schedulers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.optim import ReduceOnPlateauParamScheduler, each_scheduler
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class ParamSchedulerHook(Hook):
    """Step schedulers after each iteration, after each epoch, or, those that follow a metric, after each validation."""

    priority = "LOW"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Step what goes by iteration."""
        for scheduler in each_scheduler(runner.param_schedulers):
            if not scheduler.by_epoch and not isinstance(scheduler, ReduceOnPlateauParamScheduler):
                scheduler.step()

    def after_train_epoch(self, runner: Runner) -> None:
        """Step what goes by epoch."""
        for scheduler in each_scheduler(runner.param_schedulers):
            if scheduler.by_epoch and not isinstance(scheduler, ReduceOnPlateauParamScheduler):
                scheduler.step()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Step what follows a metric."""
        if metrics is None:
            return
        for scheduler in each_scheduler(runner.param_schedulers):
            if isinstance(scheduler, ReduceOnPlateauParamScheduler):
                scheduler.step(metrics)

"""Tell the message hub where the run stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class RuntimeInfoHook(Hook):
    """Write epoch, iteration, learning rates, losses and metrics to the message hub."""

    priority = "VERY_HIGH"

    def before_run(self, runner: Runner) -> None:
        """Write what the run is."""
        runner.message_hub.update_info_dict(
            {"cfg": runner.cfg.pretty_text, "seed": runner.seed, "experiment_name": runner.experiment_name}
        )

    def before_train(self, runner: Runner) -> None:
        """Write how long the run is, and what its data is."""
        hub = runner.message_hub
        hub.update_info("loop_stage", "train")
        self._update_position(runner)
        hub.update_info("max_epochs", runner.max_epochs)
        hub.update_info("max_iters", runner.max_iters)
        meta = getattr(runner.train_dataloader.dataset, "metainfo", None)
        if meta is not None:
            hub.update_info("dataset_meta", meta)

    def before_train_epoch(self, runner: Runner) -> None:
        """Write the epoch that begins."""
        self._update_position(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None) -> None:
        """Write the iteration that begins and the learning rates that it trains with."""
        self._update_position(runner)
        for name, values in runner.optim_wrapper.get_lr().items():
            if not isinstance(values, list):
                raise TypeError(f"optim_wrapper.get_lr() gives lists of learning rates, not {type(values).__name__}")
            runner.message_hub.update_scalar(f"train/{name}", values[0])

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Append losses and the like; tensors are not read here."""
        for key, value in (outputs or {}).items():
            runner.message_hub.update_scalar(f"train/{key}", value)

    def before_val(self, runner: Runner) -> None:
        """Write that validation runs."""
        runner.message_hub.update_info("loop_stage", "val")

    def before_test(self, runner: Runner) -> None:
        """Write that the test runs."""
        runner.message_hub.update_info("loop_stage", "test")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Append the validation's metrics."""
        _update_metrics(runner, "val", metrics)

    def after_val(self, runner: Runner) -> None:
        """Write that training goes on."""
        runner.message_hub.update_info("loop_stage", "train")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Append the test's metrics."""
        _update_metrics(runner, "test", metrics)

    def _update_position(self, runner: Runner) -> None:
        runner.message_hub.update_info("epoch", runner.epoch)
        runner.message_hub.update_info("iter", runner.iter)


def _update_metrics(runner: Runner, mode: str, metrics: dict[str, Any] | None) -> None:
    for key, value in (metrics or {}).items():
        if _is_scalar(value):
            runner.message_hub.update_scalar(f"{mode}/{key}", value)
        else:
            runner.message_hub.update_info(f"{mode}/{key}", value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (int, float)) or getattr(value, "size", None) == 1 or getattr(value, "ndim", None) == 0

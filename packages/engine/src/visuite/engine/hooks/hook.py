"""The points at which a run calls others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

DataBatch = dict[str, Any] | tuple[Any, ...] | list[Any] | None

#: Every point, in the order in which a run comes by.
POINTS = (
    "before_run",
    "after_load_checkpoint",
    "before_train",
    "before_train_epoch",
    "before_train_iter",
    "after_train_iter",
    "after_train_epoch",
    "before_val",
    "before_val_epoch",
    "before_val_iter",
    "after_val_iter",
    "after_val_epoch",
    "after_val",
    "before_save_checkpoint",
    "after_train",
    "before_test",
    "before_test_epoch",
    "before_test_iter",
    "after_test_iter",
    "after_test_epoch",
    "after_test",
    "after_run",
)


class Hook:
    """What a run calls at its points; override those that matter.

    The points of epochs and iterations come in three modes, which fall back to `_before_epoch`,
    `_after_epoch`, `_before_iter` and `_after_iter` with `mode` 'train', 'val' or 'test'. While hooks run
    after an iteration or an epoch, `runner.iter` and `runner.epoch` do not count it yet.
    """

    priority: int | str = "NORMAL"
    stages = (
        "before_run",
        "before_train",
        "after_train",
        "before_val",
        "after_val",
        "before_test",
        "after_test",
        "after_run",
    )

    def before_run(self, runner: Runner) -> None:
        """Before anything is loaded or trained."""

    def after_run(self, runner: Runner) -> None:
        """When all is done."""

    def before_train(self, runner: Runner) -> None:
        """When weights are loaded, before the first epoch."""

    def after_train(self, runner: Runner) -> None:
        """After the last epoch."""

    def before_val(self, runner: Runner) -> None:
        """Before each validation."""

    def after_val(self, runner: Runner) -> None:
        """After each validation."""

    def before_test(self, runner: Runner) -> None:
        """Before the test."""

    def after_test(self, runner: Runner) -> None:
        """After the test."""

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Before a checkpoint is written; what is put in must be plain values and tensors."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """After a checkpoint is read, before its weights reach the model."""

    # ------------------------------------------------------------------ epochs

    def before_train_epoch(self, runner: Runner) -> None:
        """Before each training epoch."""
        self._before_epoch(runner, mode="train")

    def before_val_epoch(self, runner: Runner) -> None:
        """Before each pass over the validation data."""
        self._before_epoch(runner, mode="val")

    def before_test_epoch(self, runner: Runner) -> None:
        """Before the pass over the test data."""
        self._before_epoch(runner, mode="test")

    def after_train_epoch(self, runner: Runner) -> None:
        """After each training epoch."""
        self._after_epoch(runner, mode="train")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """After each pass over the validation data, with its metrics."""
        self._after_epoch(runner, mode="val")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """After the pass over the test data, with its metrics."""
        self._after_epoch(runner, mode="test")

    def _before_epoch(self, runner: Runner, mode: str = "train") -> None:
        """Before an epoch of any mode."""

    def _after_epoch(self, runner: Runner, mode: str = "train") -> None:
        """After an epoch of any mode."""

    # ------------------------------------------------------------------ iterations

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None) -> None:
        """Before each training iteration."""
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="train")

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None) -> None:
        """Before each validation batch."""
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="val")

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None) -> None:
        """Before each test batch."""
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="test")

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """After each training iteration, with the logged values."""
        self._after_iter(runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="train")

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """After each validation batch, with the predictions."""
        self._after_iter(runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="val")

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """After each test batch, with the predictions."""
        self._after_iter(runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="test")

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, mode: str = "train") -> None:
        """Before an iteration of any mode."""

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None, mode: str = "train"
    ) -> None:
        """After an iteration of any mode."""

    # ------------------------------------------------------------------ when

    def every_n_epochs(self, runner: Runner, n: int, start: int = 0) -> bool:
        """Tell whether the epoch that ends is the n-th since `start`; never for n <= 0."""
        done = runner.epoch + 1 - start
        return n > 0 and done > 0 and done % n == 0

    def every_n_inner_iters(self, batch_idx: int, n: int) -> bool:
        """Tell whether the batch that ends is the n-th of its epoch; never for n <= 0."""
        return n > 0 and (batch_idx + 1) % n == 0

    def every_n_train_iters(self, runner: Runner, n: int, start: int = 0) -> bool:
        """Tell whether the iteration that ends is the n-th since `start`; never for n <= 0."""
        done = runner.iter + 1 - start
        return n > 0 and done > 0 and done % n == 0

    def end_of_epoch(self, dataloader: Any, batch_idx: int) -> bool:
        """Tell whether a batch is its loader's last."""
        return batch_idx + 1 == len(dataloader)

    def is_last_train_epoch(self, runner: Runner) -> bool:
        """Tell whether the epoch that ends is the run's last."""
        return runner.epoch + 1 == runner.max_epochs

    def is_last_train_iter(self, runner: Runner) -> bool:
        """Tell whether the iteration that ends is the run's last."""
        return runner.iter + 1 == runner.max_iters

    def get_triggered_stages(self) -> list[str]:
        """Return the points that this hook does something at, in the order of a run."""
        return [point for point in POINTS if overrides(type(self), point)]


def overrides(kind: type[Hook], point: str) -> bool:
    """Tell whether a hook class does something at a point, itself or through its mode-free form."""
    if getattr(kind, point) is not getattr(Hook, point):
        return True
    when, _, unit = point.rpartition("_")
    general = f"_{when.split('_')[0]}_{unit}"
    return unit in ("epoch", "iter") and getattr(kind, general) is not getattr(Hook, general)

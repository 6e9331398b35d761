"""Write the run's lines: to the console, the log file and the trackers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from visuite.engine.fileio import copyfile_from_local, join_path
from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.logging import print_log
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

SUFFIXES = (".json", ".log", ".py", "yaml")


@HOOKS.register_module()
class LoggerHook(Hook):
    """Log every so many iterations, and after each validation and test.

    Args:
        interval: Log every so many iterations (within an epoch, for training by epochs).
        ignore_last: Leave out the last batches of an epoch where they do not fill an interval.
        interval_exp_name: Name the experiment every so many iterations.
        out_dir: Copy the logs there when the run ends.
        out_suffix: Which files to copy.
        keep_local: Keep the originals of what was copied.
        file_client_args, backend_args: Storage options of `out_dir`.
        log_metric_by_epoch: Count validation metrics by epochs rather than iterations in trackers.
    """

    priority = "BELOW_NORMAL"

    def __init__(
        self,
        interval: int = 10,
        ignore_last: bool = True,
        interval_exp_name: int = 1000,
        out_dir: str | Path | None = None,
        out_suffix: tuple[str, ...] | str = SUFFIXES,
        keep_local: bool = True,
        file_client_args: dict[str, Any] | None = None,
        log_metric_by_epoch: bool = True,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(interval, int) or interval < 1:
            raise ValueError(f"LoggerHook: interval is a positive whole number, not {interval!r}")
        self.interval = interval
        self.ignore_last = ignore_last
        self.interval_exp_name = interval_exp_name
        self.out_dir = out_dir
        self.out_suffix = (out_suffix,) if isinstance(out_suffix, str) else tuple(out_suffix)
        self.keep_local = keep_local
        self.backend_args = backend_args or file_client_args
        self.log_metric_by_epoch = log_metric_by_epoch

    def before_run(self, runner: Runner) -> None:
        """Show the config to the trackers."""
        runner.visualizer.add_config(runner.cfg)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Log a line where one is due."""
        if self.every_n_train_iters(runner, self.interval_exp_name):
            runner.logger.info(f"experiment: {runner.experiment_name}")
        due = self.every_n_inner_iters(batch_idx, self.interval)
        last = not self.ignore_last and self.end_of_epoch(runner.train_dataloader, batch_idx)
        if due or last:
            tag, line = runner.log_processor.get_log_after_iter(runner, batch_idx, "train")
            runner.logger.info(line, extra={"every_iteration": True})
            runner.visualizer.add_scalars(tag, step=runner.iter + 1)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None) -> None:
        """Log how far the validation is."""
        self._log_progress(runner, batch_idx, "val")

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None
    ) -> None:
        """Log how far the test is."""
        self._log_progress(runner, batch_idx, "test")

    def _log_progress(self, runner: Runner, batch_idx: int, mode: str) -> None:
        if self.every_n_inner_iters(batch_idx, self.interval):
            line = runner.log_processor.get_log_after_iter(runner, batch_idx, mode)[1]
            runner.logger.info(line, extra={"every_iteration": True})

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log the validation's metrics."""
        tag, line = runner.log_processor.get_log_after_epoch(runner, len(runner.val_dataloader), "val")
        runner.logger.info(line)
        training = runner.spec.train_cfg is not None
        step = (runner.epoch if self.log_metric_by_epoch and self._by_epoch(runner) else runner.iter) if training else 0
        runner.visualizer.add_scalars(tag, step=step)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log the test's metrics, those that are not numbers too."""
        _, line = runner.log_processor.get_log_after_epoch(
            runner, len(runner.test_dataloader), "test", with_non_scalar=True
        )
        runner.logger.info(line)
        numbers = {key: float(value) for key, value in (metrics or {}).items() if isinstance(value, (int, float))}
        runner.visualizer.add_scalars(numbers, step=0, file_path=f"{runner.timestamp}.json")

    def _by_epoch(self, runner: Runner) -> bool:
        return runner.log_processor.by_epoch

    def after_run(self, runner: Runner) -> None:
        """Close the trackers and copy the logs where asked."""
        runner.visualizer.close()
        if self.out_dir is None or runner.rank != 0:
            return
        for path in sorted(Path(runner.log_dir).rglob("*")):
            if path.is_file() and path.name.endswith(self.out_suffix):
                target = join_path(self.out_dir, Path(runner.log_dir).name, str(path.relative_to(runner.log_dir)))
                copyfile_from_local(path, target, backend_args=self.backend_args)
                print_log(f"{path.name} copied to {target}", runner.logger)
                if not self.keep_local:
                    path.unlink()

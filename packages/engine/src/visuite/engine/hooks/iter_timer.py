"""How long iterations take, and when the run will end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class IterTimerHook(Hook):
    """Write seconds per iteration (`time`), those spent waiting for data (`data_time`), and those left (`eta`)."""

    priority = "NORMAL"

    def __init__(self) -> None:
        self.time_tic = time.perf_counter()
        self.start_iter = 0
        self.time_sec_tot = 0.0
        self.time_sec_test_val = 0.0

    def before_train(self, runner: Runner) -> None:
        """Start counting anew: a resumed run's time before is not this machine's."""
        self.start_iter = runner.iter
        self.time_sec_tot = 0.0

    def _before_epoch(self, runner: Runner, mode: str = "train") -> None:
        self.time_tic = time.perf_counter()
        self.time_sec_test_val = 0.0

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, mode: str = "train") -> None:
        runner.message_hub.update_scalar(f"{mode}/data_time", time.perf_counter() - self.time_tic)

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None, mode: str = "train"
    ) -> None:
        now = time.perf_counter()
        elapsed, self.time_tic = now - self.time_tic, now
        runner.message_hub.update_scalar(f"{mode}/time", elapsed)
        if mode == "train":
            self.time_sec_tot += elapsed
            done = runner.iter + 1 - self.start_iter
            eta = self.time_sec_tot / done * (runner.max_iters - runner.iter - 1)
        else:
            self.time_sec_test_val += elapsed
            loader = runner.val_dataloader if mode == "val" else runner.test_dataloader
            eta = self.time_sec_test_val / (batch_idx + 1) * (len(loader) - batch_idx - 1)
        runner.message_hub.update_info("eta", eta)

    def after_val(self, runner: Runner) -> None:
        """Let the next iteration's waiting time not count the validation."""
        self.time_tic = time.perf_counter()

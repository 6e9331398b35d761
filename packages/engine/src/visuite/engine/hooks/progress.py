"""One line that tells how far the run is, on a terminal."""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch

from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

ERASE_LINE = "\r\x1b[K"


@HOOKS.register_module()
class ProgressHook(Hook):
    """Keep a line with loss, rate, time left and memory at the bottom of a terminal.

    Where standard output is no terminal it does nothing, and the logger's plain lines are all there is; on a
    terminal those of single iterations go to the log file alone.

    Args:
        interval: Draw at most once in so many seconds: reading the loss waits for the device.
        width: Columns of the bar.
    """

    priority = "LOWEST"

    def __init__(self, interval: float = 0.5, width: int = 24) -> None:
        self.interval = interval
        self.width = width
        self._drawn = 0.0
        self._shown = False

    def before_run(self, runner: Runner) -> None:
        """Take the console's lines through `_clear_way`, where there is a terminal."""
        self.enabled = sys.stdout.isatty() and runner.rank == 0
        if self.enabled:
            for handler in _console_handlers(runner.logger):
                handler.addFilter(self._clear_way)

    def after_run(self, runner: Runner) -> None:
        """Give the console back."""
        if self.enabled:
            self._erase()
            for handler in _console_handlers(runner.logger):
                handler.removeFilter(self._clear_way)

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None, mode: str = "train"
    ) -> None:
        now = time.perf_counter()
        if self.enabled and now - self._drawn >= self.interval:
            self._drawn = now
            self._shown = True
            print(ERASE_LINE + self.line(runner, batch_idx, mode), end="", flush=True)

    def line(self, runner: Runner, batch_idx: int, mode: str) -> str:
        """Return the line: what runs, a bar, loss, iterations a second, time left and memory."""
        hub = runner.message_hub
        loader = getattr(runner, f"{mode}_dataloader")
        by_epoch = mode != "train" or runner.max_epochs > 1
        done, total = (batch_idx + 1, len(loader)) if by_epoch else (runner.iter + 1, runner.max_iters)
        name = f"epoch {runner.epoch + 1}/{runner.max_epochs}" if mode == "train" and by_epoch else mode
        filled = self.width * done // total
        parts = [f"{name} [{'=' * filled}{' ' * (self.width - filled)}] {done}/{total}"]
        if mode == "train":
            parts.append(f"loss {hub.get_scalar('train/loss').mean(10):.4f}")
        seconds = hub.get_scalar(f"{mode}/time").mean(10)
        parts += [f"{1 / max(seconds, 1e-9):.1f} it/s", f"left {timedelta(seconds=int(hub.get_info('eta')))}"]
        return "  ".join([*parts, f"memory {memory_in_use(runner.device)} MiB"])

    def _clear_way(self, record: logging.LogRecord) -> bool:
        """Erase the line before another is printed; drop the lines of single iterations."""
        if getattr(record, "every_iteration", False):
            return False
        self._erase()
        return True

    def _erase(self) -> None:
        if self._shown:
            print(ERASE_LINE, end="", flush=True)
            self._shown = False


def _console_handlers(logger: logging.Logger) -> list[logging.Handler]:
    return [one for one in logger.handlers if getattr(one, "stream", None) is sys.stdout]


def memory_in_use(device: torch.device) -> int:
    """Return the most memory used so far, in MiB: of the device, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    try:
        import resource
    except ImportError:  # Windows does not tell
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used >> 20 if sys.platform == "darwin" else used >> 10

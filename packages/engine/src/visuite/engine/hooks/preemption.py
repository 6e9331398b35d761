"""End with a checkpoint when the system, or Ctrl-C, asks the process to end."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import torch

from visuite.engine.dist import all_reduce, is_distributed, is_main_process
from visuite.engine.fileio import exists, join_path, remove
from visuite.engine.hooks.checkpoint import CheckpointHook
from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

#: Seconds that a data loader's worker outlives a SIGTERM, for the main process to save in.
WORKER_GRACE = 60


class Preempted(SystemExit):
    """The run was asked to end; the exit code is 128 and the signal's number."""


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM or SIGINT finish the iteration, save a checkpoint, and end with exit code 143 or 130.

    A run with `resume=True` goes on from that iteration as if nothing had happened. A validation is broken off and
    repeated after resuming (with several processes it is finished). When several processes train, one that gets the
    signal is enough, and where they accumulate gradients each its own, they end together with a window: so the
    checkpoint is exact. A second Ctrl-C ends a single process at once. Signals are left alone outside the main thread,
    and before and after training.

    Args:
        interval: With several processes, after how many iterations they ask each other.
        filename: The checkpoint's name, beside those of `CheckpointHook`. It is removed at the end of a training that
            has written others since.
        signals: Which signals; clusters that announce the end by another one can add it, such as 'SIGUSR1'.
    """

    priority = "LOWEST"  # all else that belongs to an iteration is done before it is saved

    def __init__(
        self, interval: int = 10, filename: str = "preempted.pth", signals: Sequence[str] = ("SIGTERM", "SIGINT")
    ) -> None:
        self.interval = interval
        self.filename = filename
        self.signals = [signal.Signals[name] for name in signals]
        self._received = 0  # the signal that this process got
        self._agreed = 0  # the one that all of them end for
        self._listening = False

    def before_train(self, runner: Runner) -> None:
        """Listen to signals until training ends, however it does."""
        self._last_regular = runner.message_hub.get_info("last_ckpt")
        self._received = self._agreed = 0
        self._listening = threading.current_thread() is threading.main_thread()
        if self._listening:
            self._pid = os.getpid()
            handlers = {number: signal.signal(number, self._remember) for number in self.signals}
            self._loaders = [(one, one.worker_init_fn) for one in _loaders(runner)]
            for loader, init in self._loaders:
                loader.worker_init_fn = functools.partial(begin_worker, init)
            runner.at_end.push(functools.partial(self._end, runner, handlers))

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a process forked from this one ends when this one does
            return
        if self._received and number == signal.SIGINT and not is_distributed():
            raise KeyboardInterrupt
        if not self._received:  # the log may be in use where the signal struck
            os.write(2, b"\nasked to end: saving a checkpoint after this iteration\n")
        self._received = number

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """End here if a signal came."""
        due = not is_distributed() or self._agreed or self.every_n_train_iters(runner, self.interval)
        if self._listening and due and self._asked() and runner.strategy.is_exact(runner.optim_wrapper):
            raise Preempted(128 + self._agreed)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """End here if a signal came; ranks may have unequally many batches, so that they cannot agree here."""
        if self._listening and not is_distributed() and self._asked():
            raise Preempted(128 + self._agreed)

    def after_train(self, runner: Runner) -> None:
        """Remove the checkpoint of an earlier interruption when newer ones are there."""
        path = join_path(_place(runner)[0], self.filename)
        newer = runner.message_hub.get_info("last_ckpt") != self._last_regular
        if newer and is_main_process() and exists(path, backend_args=_place(runner)[1]):
            remove(path, backend_args=_place(runner)[1])

    def _asked(self) -> bool:
        """Tell whether a signal came to this or, where ranks ask each other, to any process."""
        if not self._agreed:
            asked = torch.tensor(self._received)
            all_reduce(asked, op="max")
            self._agreed = int(asked)
        return self._agreed != 0

    def _end(
        self,
        runner: Runner,
        handlers: dict[signal.Signals, Any],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Save if that is why training ends, and give the signals back; one that came too late is passed on."""
        self._listening = False
        try:
            if isinstance(error, Preempted):
                self._save(runner)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            for loader, init in self._loaders:
                loader.worker_init_fn = init
        if error is None and self._received:
            signal.raise_signal(self._received)

    def _save(self, runner: Runner) -> None:
        folder, backend_args = _place(runner)
        runner.save_checkpoint(folder, self.filename, backend_args=backend_args)
        path = join_path(folder, self.filename)
        if is_main_process():
            runner.checkpointer.point_at(path)
        name = signal.Signals(self._agreed).name
        runner.logger.warning(f"{name} received: saved {path}; resume to go on from there")


def _place(runner: Runner) -> tuple[str, dict[str, Any] | None]:
    """Return the folder of the regular checkpoints, and its storage options."""
    regular = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    return (runner.work_dir, None) if regular is None else (regular.folder, regular.backend_args)


def _loaders(runner: Runner) -> list[Any]:
    loops = [loop for loop in (runner.train_loop, runner.val_loop) if loop is not None]
    return [loop.dataloader for loop in loops if hasattr(loop.dataloader, "worker_init_fn")]


def begin_worker(init: Callable[[int], None] | None, worker_id: int) -> None:
    """Begin a data loader's worker that outlives a signal to the whole group, so that the iteration can be finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, _linger)
    if init is not None:
        init(worker_id)


def _linger(number: int, frame: FrameType | None) -> None:
    """End later, or at a second signal; a worker whose loader is gone ends by itself."""
    signal.signal(number, signal.SIG_DFL)
    signal.alarm(WORKER_GRACE)

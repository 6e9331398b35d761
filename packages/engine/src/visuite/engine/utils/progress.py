"""Progress of long loops: a live bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any, TextIO


class ProgressBar:
    """Show how far a loop is, its rate and the time left.

    Args:
        task_num: How many steps there are; 0 if nobody knows.
        bar_width: Of the bar, in characters.
        start: Whether to show it now.
        file: Where to; a file that is no terminal gets a line at every tenth of the way.
        description: What stands before the bar.
    """

    def __init__(
        self,
        task_num: int = 0,
        bar_width: int = 50,
        start: bool = True,
        file: TextIO | None = None,
        *,
        description: str = "",
    ) -> None:
        self.task_num = task_num
        self.bar_width = bar_width
        self.completed = 0
        self.description = description
        self.file = file or sys.stdout
        self._rich: Any = None
        self._task: Any = None
        if start:
            self.start()

    def start(self) -> None:
        """Begin to count."""
        self._began = time.perf_counter()
        if self.file.isatty() and self._rich is None:
            self._rich, self._task = _live_bar(self.file, self.bar_width, self.description, self.task_num or None)

    def update(self, num_tasks: int = 1) -> None:
        """Count `num_tasks` more steps."""
        if num_tasks < 1:
            raise ValueError(f"progress goes on by at least one step, not {num_tasks}")
        before, self.completed = self.completed, self.completed + num_tasks
        done = bool(self.task_num) and self.completed >= self.task_num
        if self._rich is not None:
            self._rich.update(self._task, completed=self.completed)
        elif done or self._tenth(before) != self._tenth(self.completed):
            self._say()
        if done:
            self.close()

    def close(self) -> None:
        """Leave the terminal to others."""
        if self._rich is not None:
            self._rich.stop()
            self._rich = None

    def _tenth(self, steps: int) -> int:
        return steps * 10 // self.task_num if self.task_num else steps // 100

    def _say(self) -> None:
        seconds = time.perf_counter() - self._began
        rate = self.completed / seconds if seconds else float("inf")
        total = f"/{self.task_num}, {(self.task_num - self.completed) / rate:.0f} s left" if self.task_num else ""
        words = f"{self.description} " if self.description else ""
        print(f"{words}{self.completed}{total}, {rate:.1f}/s, {seconds:.0f} s", file=self.file, flush=True)


def _live_bar(file: TextIO, width: int, description: str, total: int | None) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(width), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=file))
    bar.start()
    return bar, bar.add_task(description, total=total)


def track_iter_progress(tasks: Sequence[Any], bar_width: int = 50, file: TextIO | None = None) -> Iterator[Any]:
    """Iterate over `tasks` and show how far it is."""
    bar = ProgressBar(len(tasks), bar_width, file=file)
    try:
        for task in tasks:
            yield task
            bar.update()
    finally:
        bar.close()


def track_progress(
    func: Callable[..., Any],
    tasks: Sequence[Any],
    bar_width: int = 50,
    file: TextIO | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Return `func(task, **kwargs)` of all tasks and show how far it is."""
    return [func(task, **kwargs) for task in track_iter_progress(tasks, bar_width, file)]


def track_parallel_progress(
    func: Callable[[Any], Any],
    tasks: Sequence[Any],
    nproc: int,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
    bar_width: int = 50,
    chunksize: int = 1,
    file: TextIO | None = None,
) -> list[Any]:
    """Return `func(task)` of all tasks in their order, computed by `nproc` processes, and show how far it is.

    Args:
        func: A function of a module, so that other processes find it.
        tasks: Its arguments.
        nproc: How many processes.
        initializer: What every process runs first.
        initargs: Arguments of `initializer`.
        bar_width: Of the bar, in characters.
        chunksize: How many tasks a process takes at once.
        file: Where to show it.
    """
    bar = ProgressBar(len(tasks), bar_width, file=file)
    try:
        with futures.ProcessPoolExecutor(nproc, initializer=initializer, initargs=initargs) as pool:
            return list(_counted(pool.map(func, tasks, chunksize=chunksize), bar))
    finally:
        bar.close()


def _counted(results: Iterable[Any], bar: ProgressBar) -> Iterator[Any]:
    for result in results:
        yield result
        bar.update()


def track_progress_rich(
    func: Callable[..., Any],
    tasks: Iterable[Any] = (),
    task_num: int | None = None,
    nproc: int = 1,
    chunksize: int = 1,
    description: str = "Processing",
) -> list[Any]:
    """Return `func(*task)` of tuples, `func(**task)` of dicts and `func(task)` of others, in their order.

    Args:
        func: What to call.
        tasks: Its arguments; without any, `func()` is called `task_num` times.
        task_num: How many tasks there are, if `tasks` cannot tell.
        nproc: How many processes.
        chunksize: How many tasks a process takes at once.
        description: What stands before the bar.
    """
    calls = [(func, task) for task in tasks] or [(func, ())] * (task_num or 0)
    bar = ProgressBar(len(calls), description=description)
    try:
        if nproc <= 1:
            return list(_counted(map(_call, calls), bar))
        with futures.ProcessPoolExecutor(nproc) as pool:
            return list(_counted(pool.map(_call, calls, chunksize=chunksize), bar))
    finally:
        bar.close()


def _call(call: tuple[Callable[..., Any], Any]) -> Any:
    func, task = call
    if isinstance(task, tuple):
        return func(*task)
    return func(**task) if isinstance(task, dict) else func(task)

"""A stopwatch."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self


class TimerError(Exception):
    """A timer was read that had not been started."""


class Timer:
    """Measure seconds since the start and since the last look; usable as a `with` block, which prints them.

    Args:
        start: Whether to start now.
        print_tmpl: How a `with` block prints its seconds.
    """

    def __init__(self, start: bool = True, print_tmpl: str | None = None) -> None:
        self.print_tmpl = print_tmpl or "{:.3f}"
        self._began: float | None = None
        self._looked = 0.0
        if start:
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether the timer has been started."""
        return self._began is not None

    def start(self) -> None:
        """Start, or go on if it runs already."""
        if self._began is None:
            self._began = time.perf_counter()
        self._looked = time.perf_counter()

    def since_start(self) -> float:
        """Return the seconds since the start, and remember this look."""
        if self._began is None:
            raise TimerError("the timer has not been started")
        self._looked = time.perf_counter()
        return self._looked - self._began

    def since_last_check(self) -> float:
        """Return the seconds since the last look, which either method is, and remember this one."""
        before = self._looked
        self.since_start()
        return self._looked - before

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        print(self.print_tmpl.format(self.since_last_check()))
        self._began = None


_named: dict[str, Timer] = {}


def check_time(timer_id: str) -> float:
    """Return the seconds since the last call with this name; 0 the first time."""
    if timer_id not in _named:
        _named[timer_id] = Timer()
        return 0.0
    return _named[timer_id].since_last_check()

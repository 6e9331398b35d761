"""Forking a process that threads of a process group run in.

A thread that ends a collective may have to make itself known to Python, to let go of a tensor. Python 3.11 holds a lock
of its own meanwhile, and a child that is forked at that moment waits for that lock without end: a loader's worker that
never sends a batch. Later Pythons give the child new locks first.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from pathlib import Path

import torch.distributed as torch_dist

#: Seconds between two looks at the threads, how many looks in a row must find them at rest, and seconds in all.
LOOK, LOOKS, LONGEST = 0.001, 2, 0.5


@functools.cache
def fork_when_threads_rest() -> None:
    """From now on let a process with a group wait before it forks until its other threads have come to rest."""
    if sys.version_info < (3, 12) and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_wait_for_threads)


def _wait_for_threads() -> None:
    if not torch_dist.is_initialized():
        return
    deadline, at_rest = time.monotonic() + LONGEST, 0
    while at_rest < LOOKS and time.monotonic() < deadline:
        time.sleep(LOOK)  # without the interpreter's lock, which they may wait for
        at_rest = 0 if threads_run() else at_rest + 1


def threads_run() -> bool:
    """Tell whether any other thread of this process computes, or waits for a core; False where Linux does not say."""
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            if task.name != str(threading.get_native_id()) and _state(task) == "R":
                return True
    return False


def _state(task: Path) -> str:
    """Return the letter of a thread's state, which follows its name in brackets; none of one that has ended."""
    try:
        return task.joinpath("stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""

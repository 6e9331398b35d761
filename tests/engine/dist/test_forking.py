"""A process with a group forks when its threads rest."""

from __future__ import annotations

import ctypes
import sys
import threading
import time

import pytest

from visuite.engine.dist import forking

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what threads do")


class Computing:
    """A native thread that computes, without the interpreter's lock, for the time of a block."""

    def __enter__(self):
        self.over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        time.sleep(0.05)
        return self

    def run(self):
        libc = ctypes.CDLL(None)
        buffer = ctypes.create_string_buffer(8 << 20)
        while not self.over:
            libc.memset(buffer, 0, len(buffer))

    def __exit__(self, *error):
        self.over = True
        self.thread.join()


@linux
def test_what_threads_do():
    waiting = threading.Event()
    sleeper = threading.Thread(target=waiting.wait)
    sleeper.start()
    with Computing():
        assert any(forking.threads_run() for _ in range(50))
    waiting.set()
    sleeper.join()


@linux
def test_a_fork_waits_for_threads_that_compute(monkeypatch):
    monkeypatch.setattr(forking.torch_dist, "is_initialized", lambda: True)
    monkeypatch.setattr(forking, "threads_run", lambda: next(states))
    states = iter([True, False, True, False, False])
    forking._wait_for_threads()
    assert next(states, "none left") == "none left"


def test_it_does_not_wait_for_ever_nor_without_a_group(monkeypatch):
    monkeypatch.setattr(forking, "LONGEST", 0.05)
    monkeypatch.setattr(forking, "threads_run", lambda: True)
    forking._wait_for_threads()  # no group here: if it waited, the next line would be the first to tell
    monkeypatch.setattr(forking.torch_dist, "is_initialized", lambda: True)
    start = time.monotonic()
    forking._wait_for_threads()
    assert time.monotonic() - start >= 0.05

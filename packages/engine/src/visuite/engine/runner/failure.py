"""When one rank fails, all end, and say why.

Ranks that wait for a failed one in a collective would wait for minutes, and then complain of the network. Here the
rank that fails leaves its traceback in the launcher's store. The others look there every moment: one that is told by
a broken connection gets the traceback as a note to its own error, and one that still waits after `GRACE` is ended.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import torch.distributed as torch_dist

from visuite.engine.dist import get_rank, is_distributed

#: Seconds between two looks, and from a failure to the end of ranks that do not end by themselves.
LOOK, GRACE = 0.5, 10.0

_verbs = count()  # every rank goes through the same verbs, so that a failure is known by its number


@contextlib.contextmanager
def ends_together() -> Iterator[None]:
    """End every rank when what is inside fails in one; nothing without a process group.

    It needs the launcher's store (MASTER_ADDR and MASTER_PORT, as torchrun, Slurm and MPI runs have); without one,
    ranks are left to the launcher.
    """
    store = _connect() if is_distributed() else None
    if store is None:
        yield
        return
    watch = Watch(store, f"visuite/failed/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/{next(_verbs)}")
    watch.start()
    try:
        yield
    except Exception as error:
        watch.stop()
        watch.tell(error)
        raise
    finally:
        watch.stop()


def _connect() -> Any:
    """Return a connection of our own: the group's is blocked while a collective waits on it."""
    address, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
    if not address or not port:
        return None
    try:
        return torch_dist.TCPStore(
            address, int(port), is_master=False, wait_for_workers=False, timeout=timedelta(seconds=10)
        )
    except (RuntimeError, ValueError):  # the group was made over another store
        return None


class Watch:
    """Look for the failure of another rank, and leave word of one's own.

    Args:
        store: A connection to the ranks' store.
        key: Where word is left.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._store, self._key = store, key
        self._rank = get_rank()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="failures of other ranks", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no longer."""
        self._over.set()
        self._thread.join()

    def tell(self, error: Exception) -> None:
        """Leave the traceback of an error for the others; note theirs on an error that only follows from it."""
        with contextlib.suppress(RuntimeError):  # the store is gone: so is whoever kept it
            first = self._word()
            if first is None:
                text = "".join(traceback.format_exception(error))
                self._store.set(self._key, f"rank {self._rank} failed:\n{text}")
                if self._rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != str(True):
                    time.sleep(4 * LOOK)  # this process keeps the store: let the others read
            elif isinstance(error, RuntimeError):  # what a broken connection raises
                error.add_note(f"rank {self._rank} ends because {first}")

    def _word(self) -> str | None:
        return self._store.get(self._key).decode() if self._store.check([self._key]) else None

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            try:
                word = self._word()
            except RuntimeError:  # the store ended with its process: nothing more to be read
                return
            if word is not None:
                self._end(word)

    def _end(self, word: str) -> None:
        """End this process unless it ends by itself; blocked in a collective, it can be ended in no gentler way."""
        if not self._over.wait(GRACE):
            print(f"rank {self._rank} ends because {word}", file=sys.stderr, flush=True)
            os._exit(1)

"""Settings of this process and of the workers it starts."""

from __future__ import annotations

import os
import sys
import warnings

from torch import multiprocessing


def set_multi_processing(
    mp_start_method: str | None = "fork", opencv_num_threads: int = 0, distributed: bool = False
) -> None:
    """Choose how workers start and how many threads each process uses.

    Args:
        mp_start_method: 'fork', 'spawn' or 'forkserver'; None, or a way the system lacks, changes nothing.
        opencv_num_threads: Of OpenCV in every process; 0 is one, as many workers would crowd the cores.
        distributed: One process a device: OMP_NUM_THREADS and MKL_NUM_THREADS become 1 unless they are set.

    Raises:
        ValueError: no such way to start workers.
    """
    if mp_start_method is not None:
        _set_start_method(mp_start_method)
    # The variable reaches processes that load OpenCV later, the call one that has loaded it.
    os.environ["OPENCV_FOR_THREADS_NUM"] = str(max(1, opencv_num_threads))
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(opencv_num_threads)
    if distributed:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")


def _set_start_method(method: str) -> None:
    if method not in ("fork", "spawn", "forkserver"):
        raise ValueError(f"mp_start_method is 'fork', 'spawn' or 'forkserver', not {method!r}")
    if method not in multiprocessing.get_all_start_methods():  # Windows has no fork
        return
    before = multiprocessing.get_start_method(allow_none=True)
    if before not in (None, method):
        warnings.warn(f"workers start by {method!r} from now on, no longer by {before!r}", stacklevel=3)
    multiprocessing.set_start_method(method, force=True)

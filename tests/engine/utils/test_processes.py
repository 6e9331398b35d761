import os
import subprocess
import sys

import pytest

from visuite.engine.utils import set_multi_processing

PROGRAM = """
import os, warnings
from torch import multiprocessing
from visuite.engine.utils import set_multi_processing

def settings():
    return multiprocessing.get_start_method(), os.environ.get("OMP_NUM_THREADS"), os.environ.get("MKL_NUM_THREADS")

set_multi_processing("fork")
assert settings() == ("fork", "3", None)
import cv2
assert cv2.getNumThreads() == 1
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    set_multi_processing("spawn", 2, distributed=True)
assert "'spawn' from now on, no longer by 'fork'" in str(caught[0].message)
assert settings() == ("spawn", "3", "1")
assert cv2.getNumThreads() == 2
set_multi_processing(None, distributed=True)
assert settings() == ("spawn", "3", "1")
"""


def test_settings_reach_this_process_and_those_it_starts():
    pytest.importorskip("cv2")
    env = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**env, "OMP_NUM_THREADS": "3"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_way_to_start():
    with pytest.raises(ValueError, match="'forkserver'"):
        set_multi_processing("thread")

"""Settings that hold for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Tests run many small programs and models; on few cores, threads of each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("visuite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("visuite")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the workspace."""
    return ROOT

"""Settings that hold for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from visuite.engine.registry import DefaultScope

ROOT = Path(__file__).resolve().parents[1]

# Tests run many small programs and models; on few cores, threads of each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("visuite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("visuite")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the workspace."""
    return ROOT


@pytest.fixture(autouse=True)
def default_scope() -> Iterator[None]:
    """Let no test leave its default scope to the next: unprefixed names would mean other things there."""
    before = list(DefaultScope._current)
    yield
    DefaultScope._current[:] = before

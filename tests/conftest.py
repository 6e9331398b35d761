"""Settings that hold for every test."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session")
def public_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a public data set, unpacked from its archive; the test is skipped where there is none."""

    def folder(name: str) -> Path:
        places = [Path(os.environ.get("VISUITE_DATA", ROOT / "data")), *sorted(ROOT.parent.glob("*/data"))]
        found = [place / f"{name}.zip" for place in places if (place / f"{name}.zip").exists()]
        if not found:
            pytest.skip(f"there is no {name}.zip in {places[0]} (VISUITE_DATA names another folder)")
        unpacked = tmp_path_factory.getbasetemp() / "public_data"
        if not (unpacked / name).exists():
            with zipfile.ZipFile(found[0]) as archive:
                archive.extractall(unpacked)
        return unpacked / name

    return folder

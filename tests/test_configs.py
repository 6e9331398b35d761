"""Every config under configs/ is free of faults, short, and shallow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from visuite.engine.check import check_run
from visuite.engine.config import Config

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "configs").rglob("*.py"))
LEAVES = [path for path in FILES if "_base_" not in path.parts]
LINES, LEVELS = 15, 3


def bases(path: Path) -> list[Path]:
    """The files that a config names as its bases; those of installed packages are left out."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_base_":
            named = ast.literal_eval(node.value)
            return [path.parent / one for one in ([named] if isinstance(named, str) else named) if "::" not in one]
    return []


def levels(path: Path) -> int:
    return max((1 + levels(base) for base in bases(path)), default=0)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT / "configs").with_suffix(""))


@pytest.mark.parametrize("path", LEAVES, ids=name)
def test_nothing_is_wrong_in_any_size(path, monkeypatch):
    """Types, arguments and plan are checked, and the model is built without memory."""
    sizes = Config.fromfile(path).get("sizes") or [None]
    for size in sizes:
        if size is not None:
            monkeypatch.setenv("SIZE", size)
        found = check_run(Config.fromfile(path), data="skip")
        assert not found, [size, *map(str, found)]


@pytest.mark.parametrize("path", LEAVES, ids=name)
def test_short_and_shallow(path):
    code = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= LINES
    assert levels(path) <= LEVELS
    assert path.read_text().startswith("# ")  # says what it is for


def test_every_base_is_used():
    used = {base.resolve() for path in FILES for base in bases(path)}
    assert not {path for path in FILES if "_base_" in path.parts} - used


def test_the_sizes_of_a_family_have_folders_of_their_own():
    for path in LEAVES:
        cfg = Config.fromfile(path)
        if "sizes" in cfg:
            assert cfg.work_dir == f"work_dirs/{path.stem.removesuffix('_in1k')}_{cfg['size']}_in1k"

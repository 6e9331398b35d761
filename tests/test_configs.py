"""Every config under configs/ is free of faults, short, and shallow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from visuite.cv.layers import switch_to_deploy
from visuite.engine.check import check_run
from visuite.engine.config import Config
from visuite.engine.registry import DefaultScope
from visuite.yolo.registry import MODELS

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
            family, data = path.stem.rsplit("_", 1)
            assert cfg.work_dir == f"work_dirs/{family}_{cfg['size']}_{data}"


#: Millions of weights of each YOLO's sizes, as published: of what predicts, each block being one convolution.
PUBLISHED = {
    "yolov5": {"n": 1.87, "s": 7.23, "m": 21.2, "l": 46.5, "x": 86.7},
    "yolov6": {"n": 4.3, "t": 9.7, "s": 17.2, "m": 34.3, "l": 58.5},
    "yolov7": {"tiny": 6.2, "l": 36.9, "x": 71.3},
    "yolov8": {"n": 3.15, "s": 11.16, "m": 25.9, "l": 43.7, "x": 68.2},
    "yolox": {"nano": 0.91, "tiny": 5.06, "s": 8.97, "m": 25.3, "l": 54.2, "x": 99.1},
    "rtmdet": {"tiny": 4.8, "s": 8.9, "m": 24.7, "l": 52.3, "x": 94.8},
    "ppyoloe": {"s": 7.93, "m": 23.43, "l": 52.2, "x": 98.42},
}


SIZES = [
    pytest.param(family, size, marks=[pytest.mark.slow] if number else [])  # but for the smallest of each
    for family, sizes in PUBLISHED.items()
    for number, size in enumerate(sizes)
]


@pytest.mark.parametrize(("family", "size"), SIZES)
def test_yolos_have_as_many_weights_as_published(family, size, monkeypatch):
    monkeypatch.setenv("SIZE", size)
    cfg = Config.fromfile(ROOT / "configs" / "yolo" / f"{family}_coco.py")
    with torch.device("meta"), DefaultScope.overwrite_default_scope("yolo"):
        model = switch_to_deploy(MODELS.build(cfg.model))
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(PUBLISHED[family][size], rel=0.025)


@pytest.mark.parametrize("family", PUBLISHED)
def test_all_published_sizes_are_there(family):
    assert set(Config.fromfile(ROOT / "configs" / "yolo" / f"{family}_coco.py").sizes) == set(PUBLISHED[family])

"""The programs below tools/analysis, run as users run them."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visuite.engine.config import Config
from visuite.engine.registry import DefaultScope

CONFIG = "configs/cls/resnet_shapes.py"
Run = Callable[..., Any]


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a program in this process, which has torch loaded already, and return what it printed."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(DefaultScope, "_current", list(DefaultScope._current))  # the scope of a config stays inside

    def main(name: str, *args: object, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, args)])
        with nullcontext() if code == 0 else pytest.raises(SystemExit) as ended:
            runpy.run_path(str(root / f"tools/analysis/{name}.py"), run_name="__main__")
        assert ended is None or ended.value.code == code
        return capsys.readouterr()

    return main


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    paths = []
    for number, name in enumerate(("first", "second")):
        path = tmp_path / name / "20260101_000000" / "vis_data" / "scalars.json"
        path.parent.mkdir(parents=True)
        lines = [{"loss": 1 / (step + number), "lr": 0.1, "iter": step, "step": step} for step in range(1, 30)]
        path.write_text("".join(json.dumps(one) + "\n" for one in [*lines, {"accuracy/top1": 70.0, "step": 1}]))
        paths.append(path)
    return paths


def test_curves_are_drawn_and_told(run, logs, tmp_path):
    out = tmp_path / "curves.png"
    done = run("curves", *logs, "--keys", "loss", "accuracy/top1", "--out", out, "--smooth", 0.9)
    picture = np.asarray(Image.open(out))
    assert picture.shape == (360, 1120, 3)
    assert picture.std() > 10
    assert "first/20260101_000000\n" in done.out
    assert "accuracy/top1       1        70" in done.out


def test_curves_take_folders_and_names(run, logs, tmp_path):
    folders = [path.parents[2] for path in logs]
    done = run("curves", *folders, "--legend", "old", "new", "--out", tmp_path / "c.png")
    assert done.out.startswith("old\n")


def test_curves_say_what_is_wrong(run, logs, tmp_path):
    out = tmp_path / "c.png"
    wrong = run("curves", logs[0], "--keys", "los", "--out", out, code=3)
    assert wrong.err.splitlines()[-1].startswith("error: the log has no 'los'; did you mean 'loss'?")
    missing = run("curves", tmp_path / "nowhere.json", "--out", out, code=3)
    assert "nowhere.json" in missing.err
    assert "Traceback" not in missing.err
    assert not out.exists()


def test_complexity_of_a_config(run):
    done = run("complexity", CONFIG, "--shape", "64", "--depth", "1")
    lines = done.out.splitlines()
    assert lines[2].split()[:4] == ["model", "ImageClassifier", "702.6K", "11.06M"]
    assert any(line.split()[:2] == ["backbone", "ResNet"] for line in lines)
    assert "input        1 x 3 x 64 x 64" in done.out


def test_complexity_places_a_fault_in_the_config(run):
    done = run("complexity", CONFIG, "--cfg-options", "model.backbone.depht=18", code=2)
    assert "model.backbone" in done.err
    assert "depth" in done.err
    assert "Traceback" not in done.err


@pytest.fixture
def small_config(root: Path, tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name in ("disc", "square", "triangle", "star"):
            folder = tmp_path / "shapes" / split / name
            folder.mkdir(parents=True)
            for index in range(3):
                Image.new("RGB", (64, 64), (40 * index, 90, 20)).save(folder / f"{index}.jpg")
    cfg = Config.fromfile(str(root / CONFIG))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.batch_size = 4
        loader.dataset.data_root = str(tmp_path / "shapes")
    cfg.dump(str(tmp_path / "small.py"))
    return tmp_path / "small.py"


def test_loader_benchmark(run, small_config):
    done = run("benchmark_loader", small_config, "--workers", 0, 1, "--seconds", 1)
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0][:2] == ["workers", "images/s"]
    assert [(row[0], row[-1]) for row in rows[2:]] == [("0", "12"), ("1", "12")]


def test_speed_benchmark(run, small_config):
    done = run("benchmark_speed", small_config, "--iters", 2, "--warmup", 1, "--device", "cpu")
    rows = [line.split() for line in done.out.splitlines()]
    assert [row[0] for row in rows[2:]] == ["train", "inference"]
    assert [row[3] for row in rows[2:]] == ["4", "4"]
    assert all(float(row[1]) > 0 for row in rows[2:])

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

from tools.make_shapes import make_shapes
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


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    make_shapes(folder, images=15, seed=0)
    return folder


BATCH = {"train": 4, "val": 3}


def classify(loader: Config, split: str, shapes: Path) -> None:
    loader.dataset.update(data_root=str(shapes / "cls"))


def detect(loader: Config, split: str, shapes: Path) -> None:
    loader.dataset.data_root = str(shapes)


def segment(loader: Config, split: str, shapes: Path) -> None:
    prefix = {"img_path": f"images/{split}", "seg_map_path": f"semantic/{split}"}
    inside = loader.dataset.get("dataset", loader.dataset)
    inside.update(data_root=str(shapes), data_prefix=prefix, img_suffix=".jpg", seg_map_suffix=".png")


#: A config of each task, how it finds the data, and the side of its images.
TASKS = {
    "cls/resnet_shapes": (classify, 64),
    "det/mask_rcnn_small_shapes": (detect, 160),
    "seg/fast_scnn_camvid": (segment, 160),
    "yolo/yolov8_n_shapes": (detect, 160),
}


@pytest.fixture(params=TASKS)
def small_config(request: pytest.FixtureRequest, root: Path, shapes: Path, tmp_path: Path) -> Path:
    """A config of the house on a few drawn pictures, loaded in this process."""
    cfg = Config.fromfile(str(root / f"configs/{request.param}.py"))
    find, _ = TASKS[request.param]
    for split in BATCH:
        loader = cfg[f"{split}_dataloader"]
        loader.batch_size = BATCH[split]
        loader.num_workers, loader.persistent_workers = 0, False
        find(loader, split, shapes)
    cfg.dump(str(tmp_path / "small.py"))
    return tmp_path / "small.py"


def test_speed_benchmark_of_each_task(run, small_config):
    done = run("benchmark_speed", small_config, "--iters", 2, "--warmup", 1, "--device", "cpu")
    rows = [line.split() for line in done.out.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["train", "inference"]
    assert [row[3] for row in rows] == ["4", "3"]  # inference is that of the validation's batches
    assert all(float(row[1]) > 0 for row in rows)


def test_loader_benchmark_of_each_task(run, small_config):
    done = run("benchmark_loader", small_config, "--workers", 0, 1, "--seconds", 1, "--batches", 2)
    rows = [line.split() for line in done.out.splitlines()[-2:]]
    assert [(row[0], row[-1]) for row in rows] == [("0", "8"), ("1", "8")]


def test_complexity_of_each_task(run, root):
    for name, (_, side) in TASKS.items():
        done = run("complexity", root / f"configs/{name}.py", "--shape", side, "--depth", 1)
        rows = [line.split() for line in done.out.splitlines()]
        whole, *parts = rows[2 : next(index for index, row in enumerate(rows) if not row)]
        shares = [float(row[row.index("%") - 1]) for row in parts]
        assert whole[0] == "model"
        assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares)), name  # nothing of a model is counted elsewhere
        assert ("not called   auxiliary_head" in done.out) == name.startswith("seg")


def test_complexity_knows_the_second_stage(run, root):
    """The head for regions runs on what the first has found, which runs but once."""
    done = run("complexity", root / "configs/det/mask_rcnn_small_shapes.py", "--shape", 160, "--depth", 2)
    flops = {row[0]: row[3] for row in map(str.split, done.out.splitlines()) if len(row) > 4}
    assert flops["rpn_conv"] == "78.67M"  # 5 levels of 40 x 40 and less, 64 channels of 3 x 3 to 64
    assert flops["bbox_head"].endswith(("M", "G"))
    assert flops["mask_head"].endswith(("M", "G"))
    assert "torchvision.roi_align" in done.out

"""The search for anchors, run as users run it, on a data set whose objects have known shapes."""

from __future__ import annotations

import ast
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuite.engine.registry import DefaultScope

#: (w, h) in files of 400x200 pixels; in an input of 200x200 they are half as large.
KNOWN = [(20, 30), (70, 40), (60, 150), (300, 160)]
CONFIG = """
default_scope = "yolo"
images = dict(type="det.CocoDataset", ann_file="{ann_file}", metainfo=dict(classes=("thing",)), pipeline=[])
once = dict(images, on_missing_images="ignore")
train_dataloader = dict(dataset=dict(type="RepeatDataset", times=3, dataset=once))
img_scale = (200, 200)
{model}
"""
MODEL = (
    "model = dict(bbox_head=dict(prior_generator=dict(base_sizes=[[(9, 16)], [(33, 22)], [(31, 70)], [(140, 90)]])))"
)


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """Writes a config over 30 images, each with objects of all shapes, which vary by a hundredth."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(30):
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 400, "height": 200})
        for shape in KNOWN:
            width, height = (np.array(shape) * np.exp(rng.normal(0, 0.01, 2))).tolist()
            one = {"bbox": [5, 5, width, height], "area": width * height, "iscrowd": 0, "category_id": 1}
            annotations.append({**one, "id": len(annotations), "image_id": number})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "data.json").write_text(json.dumps(data))

    def write(model: str = "") -> str:
        path = tmp_path / "config.py"
        path.write_text(CONFIG.format(ann_file=tmp_path / "data.json", model=model))
        return str(path)

    return write


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the program in this process, and return what it printed."""
    monkeypatch.setattr(DefaultScope, "_current", list(DefaultScope._current))

    def main(*args: object) -> str:
        monkeypatch.setattr(sys, "argv", ["optimize_anchors", *map(str, args)])
        runpy.run_path(str(root / "tools/analysis/optimize_anchors.py"), run_name="__main__")
        return capsys.readouterr().out

    return main


def anchors_in(out: str) -> Any:
    return ast.literal_eval(out[out.index("anchors = ") + len("anchors = ") :])


@pytest.mark.parametrize("algorithm", ["k-means", "differential_evolution", "v5-k-means"])
def test_known_shapes_are_found_level_by_level(run: Any, config: Any, tmp_path: Path, algorithm: str) -> None:
    out = run(config(), "--algorithm", algorithm, "--levels", 2, "--anchors-per-level", 2, "--out", tmp_path / "a.json")
    found = anchors_in(out)
    np.testing.assert_allclose(np.array(found).reshape(4, 2), np.array(KNOWN) / 2, rtol=0.05)
    assert [len(level) for level in found] == [2, 2]
    assert out.splitlines()[0] == "120 objects in images of 200x200"
    assert np.array_equal(json.loads((tmp_path / "a.json").read_text()), found)


def test_the_anchors_of_the_config_are_judged_beside_the_new(run: Any, config: Any) -> None:
    out = run(config(MODEL))
    assert [len(level) for level in anchors_in(out)] == [1] * 4
    old, new = (line for line in out.splitlines() if line.startswith(("of the config", "k-means")))
    assert float(old.split()[-3]) < float(new.split()[-3])
    assert old.split()[-2:] == ["1.0000", new.split()[-1]]


def test_another_input_makes_other_anchors(run: Any, config: Any) -> None:
    found = anchors_in(run(config(), "--input-shape", 800, 400, "--levels", 4, "--anchors-per-level", 1))
    np.testing.assert_allclose(np.array(found).reshape(4, 2), np.array(KNOWN) * 2, rtol=0.05)

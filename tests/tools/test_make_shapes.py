from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tools import make_shapes
from tools.make_shapes import CLASSES, Scene, Thing, draw_scene

IMAGES = 60


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "shapes"
    make_shapes.make_shapes(out, images=IMAGES, seed=3)
    return out


@pytest.fixture(scope="module", params=["train", "val"])
def split(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def coco(shapes: Path, split: str) -> COCO:
    return COCO(str(shapes / "annotations" / f"instances_{split}.json"))


def run_tool(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(make_shapes.__file__)), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=False
    )


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


def masks_of(coco: COCO, image_id: int) -> list[tuple[dict, np.ndarray]]:
    return [(a, coco.annToMask(a).astype(bool)) for a in coco.imgToAnns[image_id]]


def test_same_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    for name, seed, hash_seed in (("a", "7", "1"), ("b", "7", "2"), ("c", "8", "1")):
        done = run_tool(str(tmp_path / name), "--images", "10", "--seed", seed, hash_seed=hash_seed)
        assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_more_images_only_add_scenes(shapes: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    make_shapes.make_shapes(few, images=10, seed=3)
    files = [path.relative_to(few) for folder in ("images", "semantic") for path in (few / folder).rglob("*.*")]
    assert len(files) == 20
    assert all((few / path).read_bytes() == (shapes / path).read_bytes() for path in files)


def test_boxes_and_areas_are_those_of_the_masks(coco: COCO) -> None:
    kinds = set()
    for image_id in coco.imgs:
        for annotation, mask in masks_of(coco, image_id):
            ys, xs = np.nonzero(mask)
            x, y, width, height = annotation["bbox"]
            assert (x, y, x + width - 1, y + height - 1) == (xs.min(), ys.min(), xs.max(), ys.max())
            assert annotation["area"] == mask.sum()
            kinds.add(type(annotation["segmentation"]))
    assert kinds == {list, dict}


def test_semantic_map_is_the_union_of_disjoint_masks(shapes: Path, coco: COCO, split: str) -> None:
    for image_id, image in coco.imgs.items():
        expected = np.zeros((image["height"], image["width"]), int)
        for annotation, mask in masks_of(coco, image_id):
            assert not expected[mask].any(), "two masks share pixels"
            expected[mask] = annotation["category_id"]
        semantic = Image.open(shapes / "semantic" / split / image["file_name"].replace(".jpg", ".png"))
        assert semantic.mode == "P"
        np.testing.assert_array_equal(np.asarray(semantic), expected)
        with Image.open(shapes / "images" / split / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
            assert min(picture.size) >= 160


def test_later_things_lie_above_earlier_ones() -> None:
    overlaps = 0
    for index in range(30):
        things = draw_scene(5, index).things
        for position, thing in enumerate(things):
            above = np.zeros_like(thing.full)
            for later in things[position + 1 :]:
                above |= later.full
            overlaps += int((thing.full & above).any())
            assert not (thing.visible & above).any()
            assert not (thing.visible & ~thing.full).any()
    assert overlaps > 10, "the scenes hardly overlap"


def test_every_label_shows_enough_to_be_seen() -> None:
    things = [thing for index in range(40) for thing in draw_scene(1, index).things]
    assert min(thing.seen for thing in things) >= make_shapes.LEAST_VISIBLE
    assert any(thing.seen < 0.6 for thing in things), "nothing is hidden"


def test_some_scenes_hold_crowds_and_some_nothing() -> None:
    scenes = [draw_scene(0, index) for index in range(160)]
    assert any(not scene.things for scene in scenes)
    assert any(thing.crowd for scene in scenes for thing in scene.things)


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_a_whole_outline_fills_its_mask(label: int) -> None:
    outline = make_shapes.place_outline(np.random.default_rng(label), label, np.array([60.0, 50.0]), 30.0)
    full = make_shapes.rasterise([outline], 100, 120)
    thing = Thing(label, [outline], full, make_shapes.outline_area(outline))
    assert make_shapes.is_whole(thing)
    assert thing.seen == pytest.approx(1, abs=0.05)
    below = Thing(label, [outline], full, thing.area)
    make_shapes.lay([below], np.indices(full.shape)[1] < 60)
    assert not make_shapes.is_whole(below)
    assert below.seen == pytest.approx(0.5, abs=0.15)


def test_run_lengths_read_down_the_columns() -> None:
    mask = np.array([[1, 0, 0], [1, 1, 0]], bool)
    assert make_shapes.run_lengths(mask) == [0, 2, 1, 1, 2]
    assert make_shapes.run_lengths(~mask) == [2, 1, 1, 2]


def test_classes_are_balanced(shapes: Path, split: str) -> None:
    meta = json.loads((shapes / "meta.json").read_text())
    counts = [len(list((shapes / "cls" / split / name).iterdir())) for name in CLASSES]
    assert len(set(counts)) == 1
    assert sum(counts) == meta["splits"][split]["crops"] > 0
    labels = [thing.label for index in range(200) for thing in draw_scene(0, index).things]
    assert np.bincount(labels) / len(labels) == pytest.approx(0.25, abs=0.05)


def test_colour_does_not_tell_the_class() -> None:
    means: list[list[np.ndarray]] = [[] for _ in CLASSES]
    for index in range(200):
        scene: Scene = draw_scene(2, index)
        for thing in scene.things:
            means[thing.label].append(scene.image[thing.visible].mean(0))
    centres = np.array([np.mean(colours, axis=0) for colours in means])
    assert np.abs(centres - centres.mean(0)).max() < 20


def test_splits_share_no_scene(shapes: Path) -> None:
    train, val = ({p.name for p in (shapes / "images" / split).iterdir()} for split in ("train", "val"))
    assert not train & val
    assert (len(train), len(val)) == (IMAGES * 4 // 5, IMAGES // 5)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    done = run_tool(str(tmp_path), "--images", "5")
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_shapes_are_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "shapes"
    make_shapes.make_shapes(out, images=10, seed=0)
    make_shapes.make_shapes(out, images=5, seed=0)
    assert len(list((out / "images").rglob("*.jpg"))) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["shapes"]


def test_nonsense_arguments_are_refused(tmp_path: Path) -> None:
    done = run_tool(str(tmp_path / "x"), "--images", "0")
    assert done.returncode == 2
    assert "at least 5" in done.stderr

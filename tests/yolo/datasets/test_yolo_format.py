"""YOLO's own format: what it says is read exactly, and what is wrong with it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.yolo.datasets.pictures import write_coco, write_yolo
from visuite.engine.registry import DATASETS, init_default_scope
from visuite.yolo.datasets import LabelReader, YOLODataset, YOLOv5CocoDataset, label_path, read_data_yaml


def instances(found: Any) -> list[list[dict[str, Any]]]:
    return [found.get_data_info(index)["instances"] for index in range(len(found))]


def rewrite(folder: Path, content: str) -> None:
    (folder / "data.yaml").write_text(content)


def label(folder: Path, *lines: str, name: str = "01") -> Path:
    path = folder / "labels" / "train" / f"{name}.txt"
    path.write_text("\n".join(lines))
    return path


def test_the_same_as_from_a_coco_file(tmp_path: Path) -> None:
    made = write_yolo(tmp_path)
    write_coco(tmp_path)
    ours = YOLODataset(data_root=str(tmp_path))
    theirs = YOLOv5CocoDataset(
        "ann.json", {"classes": ("disc", "square")}, data_root=str(tmp_path), data_prefix={"img": "images/train"}
    )
    assert ours.metainfo["classes"] == ("disc", "square")
    assert len(ours) == len(made) == 8
    for index in range(8):
        one, other = ours.get_data_info(index), theirs.get_data_info(index)
        assert {key: one[key] for key in ("img_id", "width", "height", "img_path")} == {
            key: other[key] for key in ("img_id", "width", "height", "img_path")
        }
        for mine, want in zip(one["instances"], other["instances"], strict=True):
            assert mine["bbox"] == pytest.approx(want["bbox"], abs=1e-3)
            assert (mine["bbox_label"], mine["ignore_flag"]) == (want["bbox_label"], 0)
    assert ours.get_data_info(0)["instances"] == []  # without a file of labels
    assert not ours.screening
    init_default_scope("mmyolo")
    built = DATASETS.build({"type": "YOLODataset", "ann_file": str(tmp_path / "data.yaml"), "split": "val"})
    assert len(built) == 8


def test_polygons(tmp_path: Path) -> None:
    made = write_yolo(tmp_path)
    w, h = made[1]["size"]
    label(tmp_path, "1 0.25 0.25 0.75 0.25 0.5 0.75", "0 0.5 0.5 0.5 0.5")
    polygon, box = instances(YOLODataset(data_root=str(tmp_path)))[1]
    assert polygon["bbox"] == pytest.approx([0.25 * w, 0.25 * h, 0.75 * w, 0.75 * h])
    assert polygon["mask"][0] == pytest.approx([0.25 * w, 0.25 * h, 0.75 * w, 0.25 * h, 0.5 * w, 0.75 * h])
    assert "mask" not in box


def test_keypoints(tmp_path: Path) -> None:
    made = write_yolo(tmp_path, 2)
    w, h = made[1]["size"]
    rewrite(tmp_path, "train: images/train\nnames: [a]\nkpt_shape: [2, 3]")
    label(tmp_path, "0 0.5 0.5 0.5 0.5 0.25 0.5 2 0 0 0")
    [one] = instances(YOLODataset(data_root=str(tmp_path)))[1]
    assert one["keypoints"] == pytest.approx([0.25 * w, 0.5 * h, 2, 0, 0, 0])
    rewrite(tmp_path, "train: images/train\nnames: [a]\nkpt_shape: [2, 2]")
    label(tmp_path, "0 0.5 0.5 0.5 0.5 0.25 0.5 0 0")
    [one] = instances(YOLODataset(data_root=str(tmp_path)))[1]
    assert one["keypoints"] == pytest.approx([0.25 * w, 0.5 * h, 2, 0, 0, 0])
    label(tmp_path, "0 0.5 0.5 0.5 0.5")
    with pytest.raises(ValueError, match=r"01.txt, line 1: 5 numbers.*keypoints \(2, 2\) has 9"):
        YOLODataset(data_root=str(tmp_path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "line 2: 4 numbers, where a box has 5"),
        ("0 0.5 0.5 0.5 0.5 0.5", "line 2: 6 numbers"),
        ("0 0.5 0.5 0.5 0.5 0.5 0.5 0.5", "line 2: 8 numbers"),
        ("2 0.5 0.5 0.5 0.5", "line 2: class 2 is none of the 2 names"),
        ("-1 0.5 0.5 0.5 0.5", "line 2: class -1 is none"),
        ("0.5 0.5 0.5 0.5 0.5", "line 2: class 0.5 is none"),
        ("disc 0.5 0.5 0.5 0.5", "line 2: not all of it are numbers: disc 0.5"),
        ("0 0.5 nan 0.5 0.5", "line 2: not all of it are finite"),
        ("0 320 240 64 48", "line 2: 320 is no share of the image's width or height"),
    ],
)
def test_lines_that_are_no_objects(tmp_path: Path, line: str, message: str) -> None:
    write_yolo(tmp_path)
    path = label(tmp_path, "0 0.5 0.5 0.5 0.5", line)
    with pytest.raises(ValueError, match=message) as caught:
        YOLODataset(data_root=str(tmp_path))
    assert str(path) in str(caught.value)


def test_all_bad_lines_are_counted_and_the_first_named() -> None:
    reader = LabelReader(1)
    for number in range(15):
        assert len(reader.read("0 1\n0 0.5 0.5 0.5 0.5\n", f"{number}.txt", (10, 10))) == 1
    with pytest.raises(ValueError, match=r"^15 lines of labels(?s:.*)0.txt, line 1: 2 numbers(?s:.*)and 5 more$"):
        reader.refuse_bad_lines()


def test_bad_boxes_are_screened_as_everywhere(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    good, over = "0 0.5 0.5 0.5 0.5", "1 0.9 0.9 0.6 0.6"
    label(tmp_path, good, good, "1 0.5 0.5 0 0.1", "0 1.6 0.5 0.2 0.2", "1 0.5 0.5 -0.5 0.5", over)
    found = YOLODataset(data_root=str(tmp_path))
    assert {key: entry.count for key, entry in found.screening.entries.items()} == {
        ("objects given twice", ""): 1,
        ("under a pixel wide or high", "square"): 1,
        ("outside the image", "disc"): 1,
        ("inside out", "square"): 1,
    }
    assert len(instances(found)[1]) == 2
    with pytest.raises(ValueError, match="bad boxes"):
        YOLODataset(data_root=str(tmp_path), on_bad_boxes="error")
    clipped = instances(YOLODataset(data_root=str(tmp_path), on_bad_boxes="clip"))[1][-1]["bbox"]
    record = found.get_data_info(1)
    assert clipped[2:] == [record["width"], record["height"]]


def test_classes(tmp_path: Path) -> None:
    made = write_yolo(tmp_path)
    rewrite(tmp_path, "train: images/train\nnames: {1: square, 0: disc}\n")
    assert YOLODataset(data_root=str(tmp_path)).metainfo["classes"] == ("disc", "square")
    turned = YOLODataset(metainfo={"classes": ("square", "disc")}, data_root=str(tmp_path))
    assert [one["bbox_label"] for one in instances(turned)[1]] == [1 - label for label in made[1]["labels"]]
    alone = YOLODataset(metainfo={"classes": ("square",)}, data_root=str(tmp_path))
    assert {one["bbox_label"] for found in instances(alone) for one in found} == {0}
    assert alone.screening.count("objects of other categories") == sum(one["labels"].count(0) for one in made)
    with pytest.raises(ValueError, match="did you mean 'square'"):
        YOLODataset(metainfo={"classes": ("squares",)}, data_root=str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("train: images/train", "'names'"),
        ("train: images/train\nnames: [a, b]\nnc: 3", "nc is 3, and there are 2 names"),
        ("train: images/train\nnames: {0: a, 2: b}", "numbers 0 to 1"),
        ("train: images/train\nnames: []", "names are a list"),
        ("val: images/train\nnames: [disc, square]", r"no 'train', only \['val'\]"),
        ("train: images/other\nnames: [disc, square]", "no such folder"),
        ("train: labels\nnames: [disc, square]", "there is no image"),
        ("train: list.txt\nnames: [disc, square]", "no such list"),
    ],
)
def test_broken_descriptions(tmp_path: Path, content: str, message: str) -> None:
    write_yolo(tmp_path, 3)
    rewrite(tmp_path, content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        YOLODataset(data_root=str(tmp_path))


def test_lists_folders_and_roots(tmp_path: Path) -> None:
    write_yolo(tmp_path / "data", 4)
    folder = tmp_path / "data" / "images" / "train"
    (tmp_path / "data" / "list.txt").write_text(f"./images/train/02.png\n{folder}/01.png\n\n")
    rewrite(tmp_path, "path: data\ntrain: list.txt\nval: [images/train, list.txt]\nnames: [disc, square]\n")
    listed = YOLODataset(data_root=str(tmp_path))
    assert [listed.get_data_info(i)["img_path"] for i in range(2)] == [str(folder / "02.png"), str(folder / "01.png")]
    assert all(len(found) > 0 for found in instances(listed))
    assert len(YOLODataset(data_root=str(tmp_path), split="val")) == 6
    rewrite(tmp_path, "path: elsewhere\ntrain: images/train\nnames: [disc, square]\n")
    assert len(YOLODataset(data_root=str(tmp_path), data_prefix={"img": "data"})) == 4
    assert read_data_yaml(str(tmp_path / "data.yaml")).root == str(tmp_path / "elsewhere")


def test_missing_files(tmp_path: Path) -> None:
    write_yolo(tmp_path, 4)
    (tmp_path / "list.txt").write_text("images/train/01.png\nimages/train/99.png\n")
    rewrite(tmp_path, "train: list.txt\nnames: [disc, square]\n")
    with pytest.raises(ValueError, match=r"1 of 2 images have no file.*99.png"):
        YOLODataset(data_root=str(tmp_path))
    assert len(YOLODataset(data_root=str(tmp_path), on_missing_images="drop", filter_cfg={"min_size": 8})) == 1
    for path in (tmp_path / "labels" / "train").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"none of the 1 images.*labels/train/01.txt"):
        YOLODataset(data_root=str(tmp_path), on_missing_images="drop")


def test_an_image_that_its_header_turns(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    write_yolo(tmp_path, 2)
    made = image.fromarray(np.zeros((20, 40, 3), np.uint8))
    exif = image.Exif()
    exif[0x0112] = 6
    made.save(tmp_path / "images" / "train" / "05.jpg", exif=exif)
    found = YOLODataset(data_root=str(tmp_path), pipeline=[{"type": "LoadImageFromFile"}])
    record = found.get_data_info(2)
    assert (record["height"], record["width"]) == found[2]["img"].shape[:2] == (40, 20)
    assert cv2.imread(record["img_path"]).shape[:2] == (40, 20)


def test_where_labels_are() -> None:
    assert label_path("/a/images/train/x.jpg") == "/a/labels/train/x.txt"
    assert label_path("/images/b/images/x.y.png") == "/images/b/labels/x.y.txt"
    assert label_path("images/x.png") == "labels/x.txt"
    assert label_path("/a/b/x.png") == "/a/b/x.txt"
    assert label_path("s3://bucket/images/x.png") == "s3://bucket/labels/x.txt"

"""Reading maps and images of many bands."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from visuite.cv.image import ImageError, imfrombytes
from visuite.seg.registry import TRANSFORMS
from visuite.seg.transforms import ConcatCDInput, LoadAnnotations
from visuite.seg.transforms.loading import renamed

MAP = np.array([[0, 1, 2], [3, 255, 0]], np.uint8)


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    Image.fromarray(MAP).save(tmp_path / "map.png")
    return {"seg_map_path": str(tmp_path / "map.png"), "seg_fields": []}


def test_reads_the_map(record: dict[str, Any]) -> None:
    got = LoadAnnotations()(record)
    assert got["gt_seg_map"].tolist() == MAP.tolist()
    assert got["seg_fields"] == ["gt_seg_map"]


@pytest.mark.parametrize("place", ["argument", "record"])
def test_takes_class_zero_away(record: dict[str, Any], place: str) -> None:
    if place == "record":
        record["reduce_zero_label"] = True
    got = LoadAnnotations(reduce_zero_label=True if place == "argument" else None)(record)
    assert got["gt_seg_map"].tolist() == [[255, 0, 1], [2, 255, 255]]


def test_says_where_class_zero_is_told_twice(record: dict[str, Any]) -> None:
    record["reduce_zero_label"] = False
    with pytest.raises(ValueError, match="reduce_zero_label is True in LoadAnnotations and False in the data set"):
        LoadAnnotations(reduce_zero_label=True)(record)


def test_renames_all_classes_at_once_after_taking_zero_away(record: dict[str, Any]) -> None:
    record |= {"reduce_zero_label": True, "label_map": {0: 1, 1: 0, 2: 255}}  # of the classes 1, 2 and 3 of the file
    assert LoadAnnotations()(record)["gt_seg_map"].tolist() == [[255, 1, 0], [255, 255, 255]]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_renaming_is_the_same_for_all_kinds_of_numbers(kind: type) -> None:
    assert renamed(MAP.astype(kind), {0: 3, 3: 0, 1: 255}).tolist() == [[3, 255, 2], [0, 255, 3]]


def test_a_colour_picture_is_no_map(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "map.png")
    with pytest.raises(ImageError, match=r"map\.png: a map of classes has one value per pixel"):
        LoadAnnotations()({"seg_map_path": str(tmp_path / "map.png")})


def test_a_picture_with_a_palette_gives_its_places(tmp_path: Path) -> None:
    picture = Image.fromarray(MAP, mode="P")
    picture.putpalette([200, 10, 10] * 256)
    picture.save(tmp_path / "map.png")
    assert LoadAnnotations()({"seg_map_path": str(tmp_path / "map.png")})["gt_seg_map"].tolist() == MAP.tolist()


@pytest.mark.parametrize("kind", ["tif", "npy"])
@pytest.mark.parametrize("bands", [1, 3, 7, 12])
def test_images_of_any_number_of_bands(tmp_path: Path, kind: str, bands: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (5, 6, bands)).astype(np.uint16)
    path = str(tmp_path / f"image.{kind}")
    if kind == "npy":
        np.save(path, pixels)
    else:
        options = {3: {"photometric": "rgb"}, 1: {"photometric": "minisblack"}}
        many = {"photometric": "minisblack", "planarconfig": "contig"}
        tifffile.imwrite(path, pixels, **options.get(bands, many))
    got = TRANSFORMS.build({"type": "LoadSingleRSImageFromFile"})({"img_path": path})
    assert got["img"].dtype == np.float32
    assert got["ori_shape"] == (5, 6)
    stored = pixels[..., ::-1] if kind == "tif" and bands == 3 else pixels  # three bands are taken for colours, BGR
    assert (got["img"] == stored).all()


def test_two_images_become_one(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2)):
        np.save(tmp_path / f"{name}.npy", np.full((4, 5, 3), value, np.uint8))
    record = {"img_path": str(tmp_path / "a.npy"), "img_path2": str(tmp_path / "b.npy")}
    img = ConcatCDInput()(TRANSFORMS.build({"type": "LoadMultipleRSImageFromFile"})(record))["img"]
    assert img.shape == (4, 5, 6)
    assert img[0, 0].tolist() == [1, 1, 1, 2, 2, 2]


def test_a_broken_array_is_named() -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((2, 2)))
    with pytest.raises(ImageError, match="broken array"):
        imfrombytes(file.getvalue()[:-8])
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    with pytest.raises(ImageError, match=r"this one is \(3,\)"):
        imfrombytes(file.getvalue())

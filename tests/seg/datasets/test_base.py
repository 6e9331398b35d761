"""Pairs of images and maps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.seg.datasets.pairs import PREFIX, write_pairs
from visuite.engine.registry import DefaultScope
from visuite.seg.datasets import ADE20KDataset, BaseSegDataset, CamVidDataset, CityscapesDataset, LEVIRCDDataset
from visuite.seg.datasets.base import SuffixDataset
from visuite.seg.datasets.screening import screen_maps
from visuite.seg.registry import DATASETS, TRANSFORMS


class Fruits(SuffixDataset):
    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": ("apple", "pear", "plum"),
        "palette": [[1, 0, 0], [2, 0, 0], [3, 0, 0]],
    }
    IMG_SUFFIX = ".jpg"


MAP = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_pairs(tmp_path, {"b": MAP, "sub/a": MAP, "c": MAP.T.copy()})


def test_any_pair_of_folders(root: Path) -> None:
    dataset = BaseSegDataset(data_root=str(root), data_prefix=PREFIX, metainfo={"classes": ("x", "y", "z")})
    assert [Path(dataset.get_data_info(i)["img_path"]).name for i in range(len(dataset))] == ["b.jpg", "c.jpg", "a.jpg"]
    record = dataset.get_data_info(2)
    assert record["seg_map_path"] == str(root / "ann/sub/a.png")
    assert (record["label_map"], record["reduce_zero_label"], record["seg_fields"]) == (None, False, [])
    assert len(dataset.metainfo["palette"]) == 3


def test_a_list_of_names_says_which_and_in_what_order(root: Path) -> None:
    (root / "list.txt").write_text("sub/a\n\nb.jpg\n")
    dataset = Fruits("list.txt", data_root=str(root), data_prefix=PREFIX)
    assert [Path(dataset.get_data_info(i)["seg_map_path"]).name for i in range(len(dataset))] == ["a.png", "b.png"]
    assert len(Fruits("list.txt", data_root=str(root), data_prefix=PREFIX, indices=1)) == 1


def test_lazy_data_reads_nothing(tmp_path: Path) -> None:
    dataset = Fruits(data_root=str(tmp_path / "nowhere"), data_prefix=PREFIX, lazy_init=True)
    assert dataset.metainfo["classes"] == ("apple", "pear", "plum")
    with pytest.raises(FileNotFoundError):
        dataset.full_init()


def test_without_a_folder_of_maps_there_are_none(root: Path) -> None:
    for prefix in ({"img_path": "img"}, {"img_path": "img", "seg_map_path": None}):
        dataset = Fruits(data_root=str(root), data_prefix=prefix)
        assert len(dataset) == 3
        assert "seg_map_path" not in dataset.get_data_info(0)
        with pytest.raises(ValueError, match="has no maps"):
            dataset.read_map(0)


def test_missing_maps_are_named(root: Path) -> None:
    (root / "ann/b.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 3 images have no map below .*ann: b\.png"):
        Fruits(data_root=str(root), data_prefix=PREFIX)


def test_maps_without_an_image_are_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "img/b.jpg").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(Fruits(data_root=str(root), data_prefix=PREFIX)) == 2


def test_a_wrong_suffix_is_explained(root: Path) -> None:
    with pytest.raises(ValueError, match=r"ends with img_suffix '\.tif'; there are 3 others, such as b\.jpg"):
        Fruits(img_suffix=".tif", data_root=str(root), data_prefix=PREFIX)


def test_some_classes_in_another_order(root: Path) -> None:
    dataset = Fruits(data_root=str(root), data_prefix=PREFIX, metainfo={"classes": ("plum", "apple")})
    assert dataset.label_map == {0: 1, 1: 255, 2: 0}
    assert dataset.metainfo["palette"] == [(3, 0, 0), (1, 0, 0)]
    assert dataset.read_map(0).tolist() == [[1, 255, 0], [0, 255, 255]]
    assert dataset.get_cat_ids(0) == [0, 1]
    loaded = TRANSFORMS.build({"type": "LoadAnnotations"})(dataset.get_data_info(0))
    assert (loaded["gt_seg_map"] == dataset.read_map(0)).all()


def test_an_unknown_class_gets_the_nearest_known_one(root: Path) -> None:
    with pytest.raises(ValueError, match=r"no class 'plums'.*'plum'"):
        Fruits(data_root=str(root), data_prefix=PREFIX, metainfo={"classes": ("plums",)})
    with pytest.raises(ValueError, match="2 colours in the palette, and 3 classes"):
        Fruits(data_root=str(root), data_prefix=PREFIX, metainfo={"palette": [[0, 0, 0], [1, 1, 1]]})


def test_class_zero_goes_before_classes_are_chosen(root: Path) -> None:
    dataset = Fruits(
        data_root=str(root), data_prefix=PREFIX, reduce_zero_label=True, metainfo={"classes": ("pear", "apple")}
    )
    assert dataset.read_map(0).tolist() == [[255, 1, 0], [0, 255, 1]]


def test_void_of_camvid_is_ignored_with_any_choice_of_classes(tmp_path: Path) -> None:
    root = write_pairs(tmp_path, {"a": np.array([[0, 10, 11]], np.uint8)})
    whole = CamVidDataset(data_root=str(root), data_prefix=PREFIX)
    assert whole.read_map(0).tolist() == [[0, 10, 255]]
    part = CamVidDataset(data_root=str(root), data_prefix=PREFIX, metainfo={"classes": ("bicyclist", "road")})
    assert part.read_map(0).tolist() == [[255, 0, 255]]


def test_published_names_of_files(tmp_path: Path) -> None:
    write_pairs(tmp_path, {"aachen/x_0": MAP}, suffixes=("_leftImg8bit.png", "_gtFine_labelTrainIds.png"))
    (tmp_path / "ann/aachen/x_0_gtFine_color.png").write_bytes(b"")  # of another kind
    assert len(CityscapesDataset(data_root=str(tmp_path), data_prefix=PREFIX)) == 1
    assert ADE20KDataset.REDUCE_ZERO_LABEL


def test_changes_have_two_images(tmp_path: Path) -> None:
    write_pairs(tmp_path, {"a": np.array([[0, 255]], np.uint8)}, suffixes=(".png", ".png"))
    (tmp_path / "later").mkdir()
    dataset = LEVIRCDDataset(data_root=str(tmp_path), data_prefix={**PREFIX, "img_path2": "later"})
    assert dataset.get_data_info(0)["img_path2"] == str(tmp_path / "later/a.png")
    assert dataset.read_map(0).tolist() == [[0, 1]]


@pytest.mark.parametrize("name", sorted(DATASETS._entries))
def test_every_known_data_set_has_a_colour_for_each_class(name: str) -> None:
    with DefaultScope.overwrite_default_scope("seg"):
        dataset = DATASETS.build({"type": name, "lazy_init": True})
    classes = dataset.metainfo.get("classes", ())
    assert len(dataset.metainfo.get("palette", ())) == len(classes) == len(set(classes))


def test_screening_counts_what_is_no_class(root: Path) -> None:
    write_pairs(root, {"d": np.array([[9, 9, 0], [7, 255, 9]], np.uint8), "e": np.array([[9]], np.uint8)})
    (root / "ann/c.png").write_bytes(b"no image")
    found = screen_maps(Fruits(data_root=str(root), data_prefix=PREFIX))
    assert [(one.value, one.pixels, one.maps, Path(one.example).name) for one in found.strays] == [
        (7, 1, 1, "d.png"),
        (9, 4, 2, "d.png"),
    ]
    assert found.looked_at == 5
    assert len(found.broken) == 1
    assert "c.png" in found.broken[0]
    assert screen_maps(Fruits(data_root=str(root), data_prefix=PREFIX), 1).absent == []

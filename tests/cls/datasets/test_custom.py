"""Class folders and lists of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuite.cls.datasets import CustomDataset
from visuite.cv.image import imwrite
from visuite.engine.registry import DATASETS


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for split, names in (("train", ("ant", "bee", "cat")), ("val", ("ant", "cat"))):
        for value, name in enumerate(names):
            for index in range(value + 1):
                img = np.full((4, 6, 3), index, np.uint8)
                imwrite(img, tmp_path / split / name / f"{index}.PNG")
            (tmp_path / split / name / "notes.txt").write_text("no image")
    return tmp_path


def labels(dataset: CustomDataset) -> list[tuple[str, int]]:
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [(Path(info["img_path"]).parent.name, info["gt_label"]) for info in infos]


def test_folders_are_classes(folders: Path) -> None:
    dataset = CustomDataset(str(folders), "train")
    assert dataset.CLASSES == dataset.metainfo["classes"] == ("ant", "bee", "cat")
    assert labels(dataset) == [("ant", 0), ("bee", 1), ("bee", 1), ("cat", 2), ("cat", 2), ("cat", 2)]
    assert dataset.get_gt_labels().tolist() == [0, 1, 1, 2, 2, 2]
    assert dataset.get_cat_ids(1) == [1]
    assert dataset.class_to_idx["cat"] == 2


def test_given_classes_say_the_order(folders: Path) -> None:
    dataset = CustomDataset(str(folders), "train", classes=["cat", "ant", "bee"])
    assert dict(labels(dataset)) == {"cat": 0, "ant": 1, "bee": 2}


def test_a_missing_class_folder_does_not_shift_labels(folders: Path) -> None:
    with pytest.raises(ValueError, match=r"val.*2 class folders.*3 classes.*bee"):
        CustomDataset(str(folders), "val", metainfo={"classes": ("ant", "bee", "cat")})
    with pytest.raises(ValueError, match="cat"):
        CustomDataset(str(folders), "train", classes=("ant", "bee"))


def test_folders_with_codes_for_names(folders: Path) -> None:
    dataset = CustomDataset(str(folders), "train", classes=("formica", "apis", "felis"))
    assert dict(labels(dataset)) == {"ant": 0, "bee": 1, "cat": 2}


def test_list_of_files(folders: Path) -> None:
    (folders / "with space").mkdir()
    (folders / "list.txt").write_text("ant/0.PNG 7\n\nwith space/1.PNG 3\n")
    dataset = CustomDataset(str(folders), "train", ann_file="list.txt")
    assert [info["gt_label"] for info in map(dataset.get_data_info, range(2))] == [7, 3]
    assert dataset.get_data_info(0)["img_path"] == str(folders / "train" / "ant" / "0.PNG")
    assert dataset.get_data_info(1)["img_path"].endswith("with space/1.PNG")


@pytest.mark.parametrize(
    ("text", "words"), [("ant/0.PNG\n", "list.txt:1"), ("a.PNG 1\nb.PNG x", "list.txt:2"), ("a.PNG 9", "label 9")]
)
def test_bad_lines_are_named(folders: Path, text: str, words: str) -> None:
    (folders / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=words):
        CustomDataset(str(folders), "train", ann_file="list.txt", classes=("a", "b"))


def test_without_labels(folders: Path) -> None:
    dataset = CustomDataset(str(folders), "train", with_label=False)
    assert len(dataset) == 6
    assert "gt_label" not in dataset.get_data_info(0)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        CustomDataset(str(tmp_path), "nowhere")
    with pytest.raises(FileNotFoundError, match="with_label"):
        CustomDataset(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image"):
        CustomDataset(str(tmp_path))
    with pytest.raises(ValueError, match="needs"):
        CustomDataset()


def test_lazy_and_through_a_pipeline(folders: Path) -> None:
    cfg: dict[str, Any] = {
        "type": "mmpretrain.CustomDataset",
        "data_root": str(folders),
        "data_prefix": "train",
        "lazy_init": True,
        "pipeline": [{"type": "LoadImageFromFile"}, {"type": "Resize", "scale": 8}, {"type": "mmpretrain.PackInputs"}],
    }
    dataset = DATASETS.build(cfg)
    dataset.full_init()
    got = dataset[2]
    assert got["inputs"].shape == (3, 8, 8)
    assert got["data_samples"].gt_label.item() == 1
    assert got["data_samples"].ori_shape == (4, 6)

"""ImageNet, MNIST, VOC, CUB, multi-label lists and cross validation."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuite.cls.datasets import CUB, MNIST, VOC, FashionMNIST, ImageNet, ImageNet21k, KFoldDataset, MultiLabelDataset
from visuite.cls.registry import DATASETS
from visuite.cv.image import imwrite
from visuite.engine.dataset import BaseDataset
from visuite.engine.registry import init_default_scope

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5, 9]


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("cls")


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    imwrite(np.zeros((4, 5, 3), np.uint8), path)


def test_imagenet_folders_bear_codes(tmp_path: Path) -> None:
    codes = [f"n{i:08d}" for i in range(1000)]
    for code in codes:
        (tmp_path / "train" / code).mkdir(parents=True)
    for code in (codes[999], codes[2]):
        image(tmp_path / "train" / code / "a.jpg")
    dataset = ImageNet(str(tmp_path), "train")
    assert dataset.get_gt_labels().tolist() == [2, 999]
    assert dataset.CLASSES is not None
    assert (len(dataset.CLASSES), dataset.CLASSES[0]) == (1000, "tench")
    with pytest.raises(ValueError, match="splits"):
        ImageNet(str(tmp_path), "trian")


def test_imagenet_lists(tmp_path: Path) -> None:
    for name in ("val/a.jpg", "val/b.jpg", "test/c.jpg"):
        image(tmp_path / name)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/val.txt").write_text("a.jpg 65\nb.jpg 970\n")
    dataset = ImageNet(str(tmp_path), "val")
    assert dataset.get_gt_labels().tolist() == [65, 970]
    assert dataset.get_data_info(0)["img_path"] == str(tmp_path / "val/a.jpg")
    given = ImageNet(str(tmp_path), data_prefix="val", ann_file="meta/val.txt")
    assert given.get_gt_labels().tolist() == [65, 970]
    assert "gt_label" not in ImageNet(str(tmp_path), "test").get_data_info(0)


def test_imagenet21k_takes_its_folders_as_classes(tmp_path: Path) -> None:
    for name in ("n2/a.jpg", "n1/b.jpg"):
        image(tmp_path / "train" / name)
    dataset = ImageNet21k(str(tmp_path), "train")
    assert dataset.CLASSES == ("n1", "n2")
    assert dataset.get_gt_labels().tolist() == [0, 1]


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_mnist(tmp_path: Path, packed: bool) -> None:
    for name, array in (("t10k-images-idx3-ubyte", IMAGES), ("t10k-labels-idx1-ubyte", np.array(LABELS, np.uint8))):
        content = gzip.compress(idx(array)) if packed else idx(array)
        (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(content)
    for kind in (MNIST, FashionMNIST):
        dataset = kind(str(tmp_path), test_mode=True, download=False)
        assert dataset.get_gt_labels().tolist() == LABELS
        np.testing.assert_array_equal(dataset.get_data_info(4)["img"], IMAGES[4])
    assert MNIST.METAINFO["classes"][3] == "3 - three"
    with pytest.raises(FileNotFoundError, match="train-images"):
        MNIST(str(tmp_path), "train", download=False)


@pytest.mark.parametrize(
    ("content", "error"), [(idx(IMAGES)[:-1], "bytes"), (b"\x1f\x8bxx", "broken"), (b"PNG and more", "IDX")]
)
def test_broken_mnist(tmp_path: Path, content: bytes, error: str) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=f"train-images.*{error}"):
        MNIST(str(tmp_path), download=False)


def test_mnist_is_fetched_and_checked(tmp_path: Path) -> None:
    source = tmp_path / "there"
    source.mkdir()
    published = []
    for name, array in (("a", IMAGES), ("b", np.array(LABELS, np.uint8))):
        content = gzip.compress(idx(array))
        (source / f"{name}.gz").write_bytes(content)
        published.append((name, hashlib.md5(content).hexdigest()))

    class Local(MNIST):
        url = source.as_uri() + "/"
        files = {"train": tuple(published)}  # type: ignore[assignment]

    assert len(Local(str(tmp_path / "here"))) == 6
    (source / "b.gz").write_bytes(b"other")
    assert len(Local(str(tmp_path / "here"))) == 6  # what was fetched is not fetched again
    with pytest.raises(ValueError, match="MD5"):
        Local(str(tmp_path / "new"))


def test_voc(tmp_path: Path) -> None:
    def one(name: str, difficult: int) -> str:
        return f"<object><name>{name}</name><difficult>{difficult}</difficult></object>"

    for folder in ("ImageSets/Main", "Annotations"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/trainval.txt").write_text("000001\n000002\n")
    objects = one("person", 0) + one("cat", 1) + one("person", 1) + one("bird", 0)
    (tmp_path / "Annotations/000001.xml").write_text(f"<annotation>{objects}</annotation>")
    (tmp_path / "Annotations/000002.xml").write_text("<annotation></annotation>")
    dataset = VOC(str(tmp_path))
    first = dataset.get_data_info(0)
    assert (first["gt_label"], first["gt_label_difficult"]) == ([2, 14], [7])
    assert first["img_path"].endswith("JPEGImages/000001.jpg")
    assert (dataset.get_cat_ids(0), dataset.get_cat_ids(1)) == ([2, 14], [])
    assert "gt_label" not in VOC(str(tmp_path), data_prefix="JPEGImages").get_data_info(0)
    (tmp_path / "Annotations/000002.xml").write_text(f"<annotation>{one('unicorn', 0)}</annotation>")
    with pytest.raises(ValueError, match=r"000002\.xml: 'unicorn'"):
        VOC(str(tmp_path))
    (tmp_path / "Annotations/000002.xml").unlink()
    with pytest.raises(FileNotFoundError, match="000002"):
        VOC(str(tmp_path))


def test_cub(tmp_path: Path) -> None:
    (tmp_path / "images.txt").write_text("1 001.A_bird/x y.jpg\n2 002.B_bird/z.jpg\n3 001.A_bird/w.jpg\n")
    (tmp_path / "image_class_labels.txt").write_text("1 1\n2 2\n3 1\n")
    (tmp_path / "train_test_split.txt").write_text("1 0\n2 1\n3 1\n")
    (tmp_path / "classes.txt").write_text("1 001.A_bird\n2 002.B_bird\n")
    train, test = CUB(str(tmp_path)), CUB(str(tmp_path), "test")
    assert train.get_gt_labels().tolist() == [1, 0]
    assert test.get_data_info(0)["img_path"] == str(tmp_path / "images/001.A_bird/x y.jpg")
    assert train.CLASSES == ("A_bird", "B_bird")
    (tmp_path / "train_test_split.txt").write_text("1 0\n2 1\n")
    with pytest.raises(ValueError, match="different images"):
        CUB(str(tmp_path))
    with pytest.raises(ValueError, match="splits"):
        CUB(str(tmp_path), "val")


def test_multi_label(tmp_path: Path) -> None:
    records = [{"img_path": "a.jpg", "gt_label": [0, 2]}, {"img_path": "b.jpg", "gt_label": []}]
    content: dict[str, Any] = {"metainfo": {"classes": ["a", "b", "c"]}, "data_list": records}
    (tmp_path / "list.json").write_text(json.dumps(content))
    dataset = MultiLabelDataset("list.json", data_root=str(tmp_path), data_prefix="images")
    assert dataset.get_data_info(0)["img_path"] == str(tmp_path / "images/a.jpg")
    assert dataset.get_cat_ids(0) == [0, 2]
    records[1]["gt_label"] = [3]
    (tmp_path / "list.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="entry 1 has label 3 among 3"):
        MultiLabelDataset("list.json", data_root=str(tmp_path))


class Numbers(BaseDataset):
    """A hundred samples that are their own labels."""

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"gt_label": i} for i in range(11)]

    def get_gt_labels(self) -> np.ndarray:
        return np.arange(11)


@pytest.mark.parametrize("seed", [None, 3])
def test_folds_are_a_partition(seed: int | None) -> None:
    seen: list[int] = []
    for fold in range(3):
        options: dict[str, Any] = {"fold": fold, "num_splits": 3, "seed": seed}
        train, test = KFoldDataset(Numbers(), **options), KFoldDataset(Numbers(), test_mode=True, **options)
        assert len(train) + len(test) == 11
        assert len(test) in (3, 4)
        labels = [test[i]["gt_label"] for i in range(len(test))]
        assert labels == test.get_gt_labels().tolist()
        assert not set(labels) & set(train.get_gt_labels().tolist())
        seen += labels
    assert sorted(seen) == list(range(11))
    assert (seen == list(range(11))) == (seed is None)


def test_folds_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="folds from 0"):
        KFoldDataset(Numbers(), 5)
    with pytest.raises(ValueError, match="11 samples"):
        KFoldDataset(Numbers(), num_splits=12)
    assert DATASETS.get("KFoldDataset") is KFoldDataset

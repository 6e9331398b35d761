"""CIFAR from official files and from folders."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuite.cls.datasets import CIFAR10, CIFAR100
from visuite.cls.datasets.pickles import load_pickled_arrays
from visuite.cls.transforms import PackInputs
from visuite.cv.image import imwrite
from visuite.engine.dataset import RepeatDataset, channel_order
from visuite.engine.hooks.visualization import picture_of

RNG = np.random.default_rng(0)


def python2_pickle(data: np.ndarray, key: str, labels: list[int]) -> bytes:
    """The opcodes that Python 2's numpy wrote: strings for bytes, and protocol 2."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"tR"
        b"(" + number(1) + b"(" + b"".join(number(n) for n in data.shape) + b"t"
        b"cnumpy\ndtype\n(" + text(b"u1") + number(0) + number(1) + b"tR"
        b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
        b"\x89" + text(data.tobytes()) + b"tb"
    )
    items = text(b"data") + array + text(key.encode()) + b"(" + b"".join(map(number, labels)) + b"l"
    return b"\x80\x02}(" + items + b"u."


def write_official(root: Path, images: np.ndarray, labels: list[int]) -> None:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    for i in range(5):
        (folder / f"data_batch_{i + 1}").write_bytes(
            pickle.dumps({b"data": planes[i::5], b"labels": labels[i::5]}, protocol=2)
        )
    (folder / "test_batch").write_bytes(python2_pickle(planes, "labels", labels))


IMAGES = RNG.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]


def test_official_files(tmp_path: Path) -> None:
    write_official(tmp_path, IMAGES, LABELS)
    test = CIFAR10(str(tmp_path), "test")
    assert test.get_gt_labels().tolist() == LABELS
    assert all(np.array_equal(test.get_data_info(i)["img"], IMAGES[i]) for i in range(10))
    train = CIFAR10(data_prefix=str(tmp_path))
    assert sorted(train.get_gt_labels().tolist()) == sorted(LABELS)
    assert train.get_data_info(0)["img_shape"] == (32, 32)
    assert CIFAR10(str(tmp_path), test_mode=True).split == "test"
    assert train.CLASSES[3] == "cat"


def test_a_picture_of_a_sample_has_the_colours_of_the_files(tmp_path: Path) -> None:
    write_official(tmp_path, IMAGES, LABELS)
    dataset = RepeatDataset(CIFAR10(str(tmp_path), "test", pipeline=[PackInputs()]), 2)
    packed = dataset[3]
    shown = picture_of(packed["data_samples"], {"inputs": [packed["inputs"]]}, 0, channel_order(dataset))
    assert np.array_equal(shown, IMAGES[3])


def test_a_choice_of_images(tmp_path: Path) -> None:
    write_official(tmp_path, IMAGES, LABELS)
    some = CIFAR10(str(tmp_path), "test", indices=[7, 2])
    assert [some.get_data_info(i)["gt_label"] for i in range(2)] == [LABELS[7], LABELS[2]]
    assert np.array_equal(some.get_data_info(0)["img"], IMAGES[7])


def test_folders(tmp_path: Path) -> None:
    for name in CIFAR10.METAINFO["classes"]:
        imwrite(np.full((32, 32, 3), (200, 100, 0), np.uint8), tmp_path / "train" / name / "0000.png")
    dataset = CIFAR10(str(tmp_path), "train")
    assert dataset.get_gt_labels().tolist() == list(range(10))
    assert (dataset.get_data_info(0)["img"] == (0, 100, 200)).all()  # RGB
    assert dataset.get_data_info(2)["img_path"].endswith("bird/0000.png")
    (tmp_path / "train" / "frog").rename(tmp_path / "train" / "toad")
    with pytest.raises(ValueError, match="frog"):
        CIFAR10(str(tmp_path), "train")


def test_cifar100_has_other_files_and_labels(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    data = {"data": IMAGES.reshape(10, -1), "fine_labels": LABELS, "coarse_labels": [0] * 10}
    (tmp_path / "cifar-100-python" / "train").write_bytes(pickle.dumps(data))
    dataset = CIFAR100(str(tmp_path))
    assert dataset.get_gt_labels().tolist() == LABELS
    assert len(dataset.CLASSES) == 100


class Attack:
    """A pickle that would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "owned")


def test_pickles_are_not_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    content = pickle.dumps({"data": Attack(mark), "labels": []})
    with pytest.raises(ValueError, match=r"batch.*names"):
        load_pickled_arrays(content, "batch")
    for line in (b"cos\nsystem\n(S'true'\ntR.", b"cbuiltins\neval\n(S'1'\ntR.", b"cnumpy\nload\n."):
        with pytest.raises(ValueError, match="not a pickle of plain arrays"):
            load_pickled_arrays(line, "batch")
    assert not mark.exists()


def test_broken_pickles_are_named(tmp_path: Path) -> None:
    whole = pickle.dumps({"data": IMAGES, "labels": LABELS}, protocol=2)
    assert np.array_equal(load_pickled_arrays(whole, "x")["data"], IMAGES)
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ValueError, match="x: not a pickle"):
            load_pickled_arrays(whole[:cut], "x")
    with pytest.raises(ValueError, match="holds a list"):
        load_pickled_arrays(pickle.dumps([1]), "x")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="download=False"):
        CIFAR10(str(tmp_path), download=False)
    with pytest.raises(ValueError, match="val"):
        CIFAR10(str(tmp_path), "val")


def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_official(tmp_path / "source", IMAGES, LABELS)
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(tmp_path / "source" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(CIFAR10, "url", archive.as_uri())
    with pytest.raises(ValueError, match="MD5"):
        CIFAR10(str(tmp_path / "bad"))
    monkeypatch.setattr(CIFAR10, "md5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert CIFAR10(str(tmp_path / "good"), "test").get_gt_labels().tolist() == LABELS
    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "none.tar.gz").as_uri())
    with pytest.raises(OSError, match="yourself"):
        CIFAR10(str(tmp_path / "far"))

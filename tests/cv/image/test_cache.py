"""Caches of decoded images: the same images, never more bytes than allowed, whatever happens to files and processes."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from visuite.cv.image import DiskImageCache, ImageCache, MemoryImageCache, imread, imwrite
from visuite.cv.transforms import LoadImageFromFile

_ONE = 20 * 30 * 3  # the bytes of an image


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    rng = np.random.RandomState(0)
    names = [str(tmp_path / f"{i}.png") for i in range(6)]
    for name in names:
        imwrite(rng.randint(0, 256, (20, 30, 3)).astype(np.uint8), name)
    return names


def caches(folder: Path, most: int) -> list[ImageCache]:
    return [MemoryImageCache(most), DiskImageCache(folder / "cache", most)]


class Reading:
    """Reads through a cache, and counts how often it decodes."""

    def __init__(self, cache: ImageCache) -> None:
        self.cache = cache
        self.decoded = 0

    def __call__(self, path: str, flag: str = "color") -> np.ndarray:
        def decode() -> np.ndarray:
            self.decoded += 1
            return imread(path, flag)

        return self.cache.read(path, flag, decode)


def stored(folder: Path) -> int:
    return sum(one.stat().st_size for one in (folder / "cache").iterdir())


def test_images_are_decoded_once(paths: list[str], tmp_path: Path) -> None:
    for cache in caches(tmp_path, 1 << 20):
        read = Reading(cache)
        for _ in range(3):
            for path in paths:
                assert np.array_equal(read(path), imread(path))
        assert read.decoded == len(paths)
        assert np.array_equal(read(paths[0], "grayscale"), imread(paths[0], "grayscale"))
        assert read.decoded == len(paths) + 1


def test_the_bound_holds(paths: list[str], tmp_path: Path) -> None:
    most = 3 * _ONE + 1000  # some bytes more for headers
    for cache in caches(tmp_path, most):
        read = Reading(cache)
        for _ in range(2):
            for path in paths:
                assert np.array_equal(read(path), imread(path))
        assert read.decoded == 6 + 3  # three are kept, and the others decoded again
    assert 3 * _ONE < stored(tmp_path) <= most
    again = Reading(DiskImageCache(tmp_path / "cache", most))
    for path in paths:
        again(path)
    assert again.decoded == 3  # the next run finds what is there, and keeps no more
    assert stored(tmp_path) <= most
    for bad in (0, -1):
        with pytest.raises(ValueError, match="holds some bytes"):
            MemoryImageCache(bad)


def test_memory_is_not_written_to(paths: list[str]) -> None:
    img = Reading(MemoryImageCache(1 << 20))(paths[0])
    with pytest.raises(ValueError, match="read-only"):
        img[0, 0] = 0


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_files_are_made_again(paths: list[str], tmp_path: Path, damage: str) -> None:
    cache = DiskImageCache(tmp_path / "cache", 1 << 20)
    read = Reading(cache)
    read(paths[0])
    [file] = (tmp_path / "cache").iterdir()
    content = bytearray(file.read_bytes())
    content[300] ^= 8
    file.write_bytes({"cut": content[:1000], "flip": content, "empty": b""}[damage])
    assert np.array_equal(read(paths[0]), imread(paths[0]))
    assert read.decoded == 2
    assert np.array_equal(read(paths[0]), imread(paths[0]))
    assert read.decoded == 2


def test_a_changed_image_is_read_anew(paths: list[str], tmp_path: Path) -> None:
    read = Reading(DiskImageCache(tmp_path / "cache", 1 << 20))
    read(paths[0])
    imwrite(np.full((20, 30, 3), 7, np.uint8), paths[0])
    os.utime(paths[0], ns=(1, 1))
    assert (read(paths[0]) == 7).all()


def test_a_folder_that_cannot_be_written_to(paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    read = Reading(DiskImageCache(tmp_path / "cache", 1 << 20))
    monkeypatch.setattr(os, "replace", full)
    for _ in range(2):
        assert np.array_equal(read(paths[0]), imread(paths[0]))
    assert read.decoded == 2
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_images_are_told_as_ever(tmp_path: Path) -> None:
    for cache in caches(tmp_path, 1 << 20):
        with pytest.raises(FileNotFoundError):
            LoadImageFromFile()({"img_path": str(tmp_path / "none.png"), "image_cache": cache})
        assert LoadImageFromFile(ignore_empty=True)({"img_path": "none.png", "image_cache": cache}) is None


def test_copies_share_in_a_process_and_begin_anew_in_another(paths: list[str]) -> None:
    cache = MemoryImageCache(1 << 20)
    read = Reading(cache)
    read(paths[0])
    assert copy.deepcopy(cache) is cache
    assert not pickle.loads(pickle.dumps(cache)).images


class Images(Dataset):
    """Gives the bytes that a worker keeps after each image."""

    def __init__(self, cache: ImageCache, paths: list[str]) -> None:
        self.cache, self.paths = cache, paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[int, int]:
        LoadImageFromFile()({"img_path": self.paths[index], "image_cache": self.cache})
        kept = getattr(self.cache, "images", {})
        return os.getpid(), sum(img.nbytes for img in kept.values())


def test_workers_share_the_bound_and_nothing_else(paths: list[str], tmp_path: Path) -> None:
    most = 4 * _ONE + 1000
    memory, disk = caches(tmp_path, most)
    Reading(memory)(paths[0])  # what this process keeps is no worker's
    kept: dict[int, int] = {}
    for worker, held in DataLoader(Images(memory, paths * 2), batch_size=None, num_workers=2):
        kept[worker] = held
    assert len(kept) == 2
    assert all(0 < held <= most // 2 for held in kept.values())
    for _ in DataLoader(Images(disk, paths * 2), batch_size=None, num_workers=2):
        pass
    assert 0 < stored(tmp_path) <= most

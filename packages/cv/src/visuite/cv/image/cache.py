"""Decoded images, kept for the next epoch: in memory or in a folder, up to a number of bytes.

What came first stays, and nothing makes room for another: epoch after epoch meets all images once, in an order that is
not known, so that throwing out the oldest would only bring misses. The bound holds for the workers of one loader
together; each has its share of it, and none has to ask another.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import uuid
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Self

import numpy as np
from torch.utils.data import get_worker_info

from visuite.engine.logging import print_log

_SUFFIX = ".image"
_CHECKSUM_BYTES = 4


class ImageCache(ABC):
    """The base of these. A process that gets a copy, such as a worker of a loader, begins anew.

    Args:
        max_bytes: The bound.

    Raises:
        ValueError: it is not positive.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes <= 0:
            raise ValueError(f"a cache of images holds some bytes, not {max_bytes}")
        self.max_bytes = max_bytes
        self.process = -1

    def read(self, path: str, options: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return an image, which is not to be written to.

        Args:
            path: Of its file.
            options: How it is decoded, as far as images differ by it.
            decode: Reads and decodes the file.
        """
        if self.process != os.getpid():
            self.process = os.getpid()
            self.left = self._begin() // _workers()
        found = self._find(path, options)
        if found is None:
            found = decode()
            cost = self._keep(path, options, found)
            self.left -= cost
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # a part of a data set, or a version of a sample, shares it

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "process": -1}

    @abstractmethod
    def _begin(self) -> int:
        """Begin in this process; return how many bytes all workers may still keep."""

    @abstractmethod
    def _find(self, path: str, options: Hashable) -> np.ndarray | None:
        """Return an image that is kept."""

    @abstractmethod
    def _keep(self, path: str, options: Hashable, img: np.ndarray) -> int:
        """Keep an image if it costs no more than what is left; return what it costs."""


class MemoryImageCache(ImageCache):
    """Images in the memory of a process. Those of other processes are their own.

    Args:
        max_bytes: The most that the images of all workers of a loader take.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.images: dict[tuple[str, Hashable], np.ndarray] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "images": {}}

    def _begin(self) -> int:
        self.images = {}
        return self.max_bytes

    def _find(self, path: str, options: Hashable) -> np.ndarray | None:
        return self.images.get((path, options))

    def _keep(self, path: str, options: Hashable, img: np.ndarray) -> int:
        if img.nbytes > self.left:
            return 0
        img.setflags(write=False)
        self.images[path, options] = img
        return img.nbytes


class DiskImageCache(ImageCache):
    """Images in a folder, which is used again by the next run; a file that changed since is decoded anew.

    Files appear whole or not at all. One that is damaged is told by its checksum, and made again.

    Args:
        folder: It is made where it is missing.
        max_bytes: The most that files in it take.
    """

    def __init__(self, folder: str | Path, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.folder = Path(folder).absolute()

    def _begin(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        with os.scandir(self.folder) as files:
            return max(0, self.max_bytes - sum(_size_of(one) for one in files))

    def _find(self, path: str, options: Hashable) -> np.ndarray | None:
        place = self._place(path, options)
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            return None
        img = _unpacked(content)
        if img is None:
            print_log(f"{place} is damaged: {path} is decoded anew", logger="current", level=logging.WARNING)
            place.unlink(missing_ok=True)
            self.left += len(content)
        return img

    def _keep(self, path: str, options: Hashable, img: np.ndarray) -> int:
        content = _packed(img)
        if len(content) > self.left:
            return 0
        part = self.folder / f"{os.getpid()}-{uuid.uuid4().hex}.part"
        try:
            part.write_bytes(content)
            os.replace(part, self._place(path, options))
        except OSError as error:  # a full disk, say
            print_log(f"no more images are kept in {self.folder}: {error}", logger="current", level=logging.WARNING)
            part.unlink(missing_ok=True)
            self.left = 0
            return 0
        return len(content)

    def _place(self, path: str, options: Hashable) -> Path:
        """Return where an image is kept: a name made of its file, the time and size of that, and the options."""
        try:
            stat = os.stat(path)
            facts: tuple[Any, ...] = (os.path.abspath(path), options, stat.st_mtime_ns, stat.st_size)
        except OSError:  # not a local file
            facts = (path, options)
        return self.folder / (hashlib.sha1(repr(facts).encode()).hexdigest() + _SUFFIX)


def _packed(img: np.ndarray) -> bytes:
    """Return an image as bytes, with a checksum."""
    buffer = io.BytesIO()
    np.save(buffer, img, allow_pickle=False)
    content = buffer.getvalue()
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") + content


def _unpacked(content: bytes) -> np.ndarray | None:
    """Return the image of such bytes, or None for damaged ones."""
    checksum, packed = content[:_CHECKSUM_BYTES], memoryview(content)[_CHECKSUM_BYTES:]
    if zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        return None
    return np.load(io.BytesIO(packed), allow_pickle=False)


def _workers() -> int:
    """Return how many workers share a bound."""
    worker = get_worker_info()
    return 1 if worker is None else worker.num_workers


def _size_of(file: os.DirEntry[str]) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # another process has just renamed it
        return 0

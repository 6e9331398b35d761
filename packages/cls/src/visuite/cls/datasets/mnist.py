"""MNIST and Fashion-MNIST, from their official files.

Shapes: N grey images of 28x28 pixels.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.datasets.download import fetch_file
from visuite.cls.registry import DATASETS
from visuite.engine.fileio import exists, get, join_path

#: The third byte of such a file when its values are of one byte each.
_BYTES = 8


@DATASETS.register_module()
class MNIST(BaseDataset):
    """MNIST: `img` (28, 28) uint8 and `gt_label`. LeCun et al., 1998.

    Args:
        data_root: Where the four files lie, packed or not.
        split: `train` or `test`.
        metainfo: Facts about the whole set.
        data_prefix: The old name of `data_root`.
        test_mode: Old configs choose the split `test` by it.
        download: Fetch files that are missing.
        **kwargs: As of `BaseDataset`.

    Raises:
        ValueError: an unknown split, or files that are not what they should be.
        FileNotFoundError: there are no files, and none may be downloaded.
    """

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": tuple(
            f"{i} - {name}"
            for i, name in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
        )
    }  # fmt: skip
    channel_order = "grey"
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    #: For each split the files of the images and of the labels, and their checksums.
    files: ClassVar[dict[str, tuple[tuple[str, str], tuple[str, str]]]] = {
        "train": (
            ("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432"),
        ),
        "test": (
            ("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    }

    def __init__(
        self,
        data_root: str = "",
        split: str = "",
        *,
        metainfo: Mapping[str, Any] | None = None,
        data_prefix: str = "",
        test_mode: bool = False,
        download: bool = True,
        **kwargs: Any,
    ) -> None:
        self.split = split or ("test" if test_mode else "train")
        if self.split not in self.files:
            raise ValueError(f"{type(self).__name__} has the splits 'train' and 'test', not {split!r}")
        if not (data_root or data_prefix):
            raise ValueError(f"{type(self).__name__} needs data_root")
        self.download = download
        self.images: np.ndarray = np.empty((0, 28, 28), np.uint8)
        super().__init__(metainfo=metainfo, data_root=data_root or data_prefix, test_mode=test_mode, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read all images into `images`; records hold their row there."""
        self.images, labels = (self._read(name, md5) for name, md5 in self.files[self.split])
        if len(self.images) != len(labels):
            raise ValueError(f"{self.data_root}: {len(self.images)} images with {len(labels)} labels")
        return [{"row": row, "gt_label": int(label)} for row, label in enumerate(labels)]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the record of an image with the image itself."""
        record = super().get_data_info(idx)
        record["img"] = self.images[record["row"]]
        record["img_shape"] = record["ori_shape"] = record["img"].shape[:2]
        return record

    def _read(self, name: str, md5: str) -> np.ndarray:
        """Read one of the files, and fetch it first if it is missing."""
        path = join_path(self.data_root, name)
        if exists(path):
            return read_idx(get(path), path)
        packed = f"{path}.gz"
        if not exists(packed):
            if not self.download:
                raise FileNotFoundError(f"neither {path!r} nor {packed!r} exists, and download=False")
            fetch_file(f"{self.url}{name}.gz", self.data_root, md5)
        return read_idx(get(packed), packed)


@DATASETS.register_module()
class FashionMNIST(MNIST):
    """Fashion-MNIST; arguments as of `MNIST`. Xiao et al., 2017."""

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": (
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        )
    }  # fmt: skip
    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    files: ClassVar[dict[str, tuple[tuple[str, str], tuple[str, str]]]] = {
        "train": (
            ("train-images-idx3-ubyte", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("train-labels-idx1-ubyte", "25c81989df183df01b3e8a0aad5dffbe"),
        ),
        "test": (
            ("t10k-images-idx3-ubyte", "bef4ecab320f06d8554ea6380940ec79"),
            ("t10k-labels-idx1-ubyte", "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    }


def read_idx(content: bytes, name: str) -> np.ndarray:
    """Read an array of bytes in the format IDX, packed by gzip or not.

    Args:
        content: The file's content.
        name: The file's name, for errors.

    Raises:
        ValueError: it is no such file, or is cut.
    """
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError) as error:
        raise ValueError(f"{name}: the file is broken: {error}") from error
    if len(content) < 4 or content[:3] != bytes([0, 0, _BYTES]):
        raise ValueError(f"{name}: not a file of bytes in the format IDX")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if len(content) != start + math.prod(shape):
        raise ValueError(f"{name}: {len(content)} bytes where an array {shape} has {start + math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)

"""CIFAR-10 and CIFAR-100, from the official files or from folders of images.

Shapes: N images of 32x32 pixels in RGB order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.datasets.custom import folder_labels
from visuite.cls.datasets.download import fetch_archive
from visuite.cls.datasets.names import CIFAR10_CLASSES, CIFAR100_CLASSES
from visuite.cls.datasets.pickles import load_pickled_arrays
from visuite.cls.registry import DATASETS
from visuite.cv.image import imread
from visuite.engine.fileio import get, isdir, join_path, list_dir_or_file


@DATASETS.register_module()
class CIFAR10(BaseDataset):
    """CIFAR-10: `img` (32, 32, 3) uint8 in RGB order and `gt_label`.

    Below `data_root` lie either the official files (`cifar-10-batches-py`), which are read without executing what
    pickles can say, or the folders `train` and `test` with a folder of images for each class. All images are read at
    once, and kept in one array.

    Args:
        data_root: Where the files lie.
        split: `train` or `test`.
        metainfo: Facts about the whole set.
        data_prefix: The old name of `data_root`.
        test_mode: Old configs choose the split `test` by it.
        pipeline: What is done to each image.
        download: Fetch the official files if there are none.
        **kwargs: As of `BaseDataset`.

    Raises:
        ValueError: an unknown split, or files that are not what they should be.
        FileNotFoundError: there are no files, and none may be downloaded.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": CIFAR10_CLASSES}
    channel_order = "rgb"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    md5 = "c58f30108f718f92721af3b95e74349a"
    folder = "cifar-10-batches-py"
    label_key = "labels"
    files: ClassVar[dict[str, tuple[str, ...]]] = {
        "train": tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test": ("test_batch",),
    }

    def __init__(
        self,
        data_root: str = "",
        split: str = "",
        *,
        metainfo: Mapping[str, Any] | None = None,
        data_prefix: str = "",
        test_mode: bool = False,
        pipeline: Sequence[Any] = (),
        download: bool = True,
        **kwargs: Any,
    ) -> None:
        self.split = split or ("test" if test_mode else "train")
        if self.split not in self.files:
            raise ValueError(f"{type(self).__name__} has the splits 'train' and 'test', not {split!r}")
        if not (data_root or data_prefix):
            raise ValueError(f"{type(self).__name__} needs data_root")
        self.download = download
        self.images: np.ndarray = np.empty((0, 32, 32, 3), np.uint8)
        super().__init__(
            metainfo=metainfo, data_root=data_root or data_prefix, test_mode=test_mode, pipeline=pipeline, **kwargs
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read all images into `images`; records hold their row there."""
        official = join_path(self.data_root, self.folder)
        by_class = join_path(self.data_root, self.split)
        if not isdir(official) and isdir(by_class):
            return self._from_folders(by_class)
        if not isdir(official):
            if not self.download:
                raise FileNotFoundError(f"neither {official!r} nor {by_class!r} exists, and download=False")
            fetch_archive(self.url, self.data_root, self.md5)
        return self._from_pickles(official)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the record of an image with the image itself."""
        record = super().get_data_info(idx)
        record["img"] = self.images[record["row"]]
        record["img_shape"] = record["ori_shape"] = record["img"].shape[:2]
        return record

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels of all images, (N,) int64."""
        return np.array([super(CIFAR10, self).get_data_info(i)["gt_label"] for i in range(len(self))], np.int64)

    def _from_pickles(self, place: str) -> list[dict[str, Any]]:
        images, labels = [], []
        for name in self.files[self.split]:
            path = join_path(place, name)
            content = load_pickled_arrays(get(path), path)
            if "data" not in content or self.label_key not in content:
                raise ValueError(f"{path}: has no 'data' and {self.label_key!r}, only {sorted(content)}")
            images.append(np.asarray(content["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels += [int(label) for label in content[self.label_key]]
        self.images = np.ascontiguousarray(np.concatenate(images))
        if len(labels) != len(self.images):
            raise ValueError(f"{place}: {len(self.images)} images with {len(labels)} labels")
        return [{"row": row, "gt_label": label} for row, label in enumerate(labels)]

    def _from_folders(self, place: str) -> list[dict[str, Any]]:
        folders = sorted(list_dir_or_file(place, list_dir=True, list_file=False))
        labels = folder_labels(folders, self.CLASSES, place)
        records: list[dict[str, Any]] = []
        for folder in folders:
            inside = join_path(place, folder)
            for name in sorted(list_dir_or_file(inside, list_dir=False)):
                path = join_path(inside, name)
                records.append({"row": len(records), "img_path": path, "gt_label": labels[folder]})
        if not records:
            raise FileNotFoundError(f"{place!r} holds no images")
        self.images = np.empty((len(records), 32, 32, 3), np.uint8)
        for record in records:
            self.images[record["row"]] = imread(record["img_path"], channel_order="rgb")
        return records


@DATASETS.register_module()
class CIFAR100(CIFAR10):
    """CIFAR-100, with its 100 fine classes; arguments as of `CIFAR10`, files in `cifar-100-python`."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": CIFAR100_CLASSES}
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    folder = "cifar-100-python"
    label_key = "fine_labels"
    files: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train",), "test": ("test",)}

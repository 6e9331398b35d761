"""Caltech-UCSD Birds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.registry import DATASETS
from visuite.engine.fileio import exists, join_path, list_from_file

#: What `train_test_split.txt` says of the images of each split.
_SPLITS = {"train": "1", "test": "0"}


@DATASETS.register_module()
class CUB(BaseDataset):
    """Caltech-UCSD Birds 200-2011. Wah et al., 2011.

    Args:
        data_root: The folder with `images`, `images.txt`, `image_class_labels.txt`, `train_test_split.txt` and
            `classes.txt`.
        split: `train` or `test`.
        ann_file: The list of images.
        data_prefix: Folder of the images.
        image_class_labels_file: The list of their classes, counted from 1.
        train_test_split_file: The list of what is for training.
        metainfo: Facts about the whole set; `classes` are read from `classes.txt` unless they stand here.
        test_mode: Old configs choose the split `test` by it.
        **kwargs: As of `BaseDataset`.

    Raises:
        ValueError: an unknown split, or the lists do not name the same images.
    """

    def __init__(
        self,
        data_root: str,
        split: str = "",
        *,
        ann_file: str = "images.txt",
        data_prefix: str = "images",
        image_class_labels_file: str = "image_class_labels.txt",
        train_test_split_file: str = "train_test_split.txt",
        metainfo: Mapping[str, Any] | None = None,
        test_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        self.split = split or ("test" if test_mode else "train")
        if self.split not in _SPLITS:
            raise ValueError(f"CUB has the splits {list(_SPLITS)}, not {split!r}")
        self.image_class_labels_file = join_path(data_root, image_class_labels_file)
        self.train_test_split_file = join_path(data_root, train_test_split_file)
        super().__init__(
            ann_file, metainfo, data_root=data_root, data_prefix=data_prefix, test_mode=test_mode, **kwargs
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return `img_path` and `gt_label` of the images of the split."""
        names = read_pairs(self.ann_file)
        labels, parts = read_pairs(self.image_class_labels_file), read_pairs(self.train_test_split_file)
        if not names.keys() == labels.keys() == parts.keys():
            raise ValueError(f"{self.data_root}: the lists of images, classes and splits name different images")
        folder_of_lists = join_path(self.data_root, "classes.txt")
        if "classes" not in self._metainfo and exists(folder_of_lists):
            numbered = read_pairs(folder_of_lists).values()
            self._metainfo["classes"] = tuple(name.partition(".")[2] or name for name in numbered)
        chosen = [number for number, part in parts.items() if part == _SPLITS[self.split]]
        return [
            {"img_path": join_path(self.img_prefix, names[number]), "gt_label": int(labels[number]) - 1}
            for number in chosen
        ]


def read_pairs(path: str) -> dict[str, str]:
    """Return the two columns of a file as a dict.

    Raises:
        ValueError: a line has no two columns.
    """
    pairs = {}
    for place, line in enumerate(list_from_file(path), 1):
        key, _, value = line.strip().partition(" ")
        if key and not value:
            raise ValueError(f"{path}:{place}: a line has two columns, not {line!r}")
        if key:
            pairs[key] = value.strip()
    return pairs

"""Images in class folders, or listed in a file."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from typing import Any

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.registry import DATASETS
from visuite.engine.fileio import isdir, join_path, list_dir_or_file, list_from_file
from visuite.engine.logging import print_log

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif")


@DATASETS.register_module()
class CustomDataset(BaseDataset):
    """Images in one folder per class, or in a list of files with their labels.

    Without `ann_file`, the folders below `data_prefix` are the classes. Where `classes` are given, a folder's label is
    its name's place among them; should no folder bear the name of a class (ImageNet's bear codes), folders in
    alphabetical order are the classes in theirs. Anything between is an error, for it would shift labels.

    Args:
        data_root: The folder that all else is below.
        data_prefix: Folder of the images, below `data_root`; or `dict(img_path=...)`.
        ann_file: A text file: a path below `data_prefix` and a label in each line.
        with_label: Whether there are labels; without, the folder is searched for images, or lines hold paths alone.
        extensions: Suffixes of image files.
        metainfo: Facts about the whole set, such as `classes`.
        lazy_init: Read the annotations when first used.
        **kwargs: As of `BaseDataset`: `classes`, `pipeline`, ...

    Raises:
        FileNotFoundError: the folder does not exist, or holds no images.
        ValueError: folders and classes differ, a line cannot be read, or neither folder nor list is given.
    """

    def __init__(
        self,
        data_root: str = "",
        data_prefix: str | Mapping[str, str] = "",
        *,
        ann_file: str = "",
        with_label: bool = True,
        extensions: Sequence[str] = EXTENSIONS,
        metainfo: Mapping[str, Any] | None = None,
        lazy_init: bool = False,
        **kwargs: Any,
    ) -> None:
        if not (ann_file or data_root or data_prefix):
            raise ValueError(f"{type(self).__name__} needs data_root, data_prefix or ann_file")
        self.extensions = tuple(suffix.lower() for suffix in extensions)
        self.with_label = with_label
        super().__init__(
            ann_file,
            metainfo,
            data_root=data_root,
            data_prefix=data_prefix,
            lazy_init=True,
            **kwargs,
        )
        if not lazy_init:
            self.full_init()

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return `img_path` and `gt_label` of every image."""
        if self.ann_file:
            return self._from_list()
        if not isdir(self.img_prefix):
            raise FileNotFoundError(f"there is no folder {self.img_prefix!r} with the images of {type(self).__name__}")
        if not self.with_label:
            return [{"img_path": join_path(self.img_prefix, name)} for name in self._images("")]
        return self._from_folders()

    def _from_folders(self) -> list[dict[str, Any]]:
        folders = self.find_folders()
        labels = folder_labels(folders, self.CLASSES, self.img_prefix)
        self._metainfo.setdefault("classes", tuple(folders))
        records, empty = [], []
        for folder in folders:
            names = self._images(folder)
            paths = [join_path(self.img_prefix, folder, name) for name in names]
            records += [{"img_path": path, "gt_label": labels[folder]} for path in paths]
            empty += [] if names else [folder]
        if not records:
            raise FileNotFoundError(f"no image in the class folders of {self.img_prefix!r}: {self.extensions}")
        if empty:
            print_log(f"{len(empty)} class folders of {self.img_prefix} hold no image: {empty[:5]}", level="WARNING")
        return records

    def find_folders(self) -> list[str]:
        """Return the names of the class folders in alphabetical order.

        Raises:
            FileNotFoundError: there is none.
        """
        entries = list_dir_or_file(self.img_prefix, list_dir=True, list_file=False, recursive=False)
        folders = sorted(entries)
        if not folders:
            raise FileNotFoundError(f"{self.img_prefix!r} has no class folders; with_label=False reads plain images")
        return folders

    def _images(self, folder: str) -> list[str]:
        """Return the image files below a folder, in alphabetical order."""
        place = join_path(self.img_prefix, folder) if folder else self.img_prefix
        files = list_dir_or_file(place, list_dir=False, recursive=True)
        return sorted(name for name in files if os.path.splitext(name)[1].lower() in self.extensions)

    def _from_list(self) -> list[dict[str, Any]]:
        records = []
        for number, line in enumerate(list_from_file(self.ann_file), 1):
            if not line.strip():
                continue
            name, label = self._parse(line, number)
            path = join_path(self.img_prefix, name) if self.img_prefix else name
            records.append({"img_path": path} if label is None else {"img_path": path, "gt_label": label})
        return records

    def _parse(self, line: str, number: int) -> tuple[str, int | None]:
        """Return the path and the label in a line; paths may have blanks in them."""
        if not self.with_label:
            return line.strip(), None
        name, _, label = line.strip().rpartition(" ")
        if not name or not label.isdigit():
            raise ValueError(f"{self.ann_file}:{number}: a line is a path, a blank and a label, not {line.strip()!r}")
        if self.CLASSES is not None and int(label) >= len(self.CLASSES):
            raise ValueError(f"{self.ann_file}:{number}: label {label} among {len(self.CLASSES)} classes")
        return name.strip(), int(label)


def folder_labels(folders: Sequence[str], classes: Sequence[str] | None, place: str) -> dict[str, int]:
    """Return the label of each folder, as `CustomDataset` says.

    Raises:
        ValueError: folders and classes differ.
    """
    if classes is None or (len(folders) == len(classes) and not set(folders) & set(classes)):
        return {folder: label for label, folder in enumerate(folders)}
    unknown, missing = sorted(set(folders) - set(classes)), sorted(set(classes) - set(folders))
    if unknown or missing:
        raise ValueError(
            f"{place}: its {len(folders)} class folders are not the {len(classes)} classes; "
            f"no class is named {unknown[:3]}, no folder {missing[:3]}"
        )
    return {name: label for label, name in enumerate(classes)}

"""Pascal VOC as a data set of images with several classes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any, ClassVar

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.datasets.names import VOC_CLASSES
from visuite.cls.registry import DATASETS
from visuite.engine.fileio import exists, get_text, join_path, list_from_file


@DATASETS.register_module()
class VOC(BaseDataset):
    """Pascal VOC: `gt_label`, the classes in an image, and `gt_label_difficult`, those seen only with difficulty.

    Everingham et al., The Pascal Visual Object Classes Challenge, 2010.

    Args:
        data_root: The folder `VOC2007`, `VOC2012`, ...
        split: `train`, `val`, `trainval` or `test`: a list in `ImageSets/Main`.
        image_set_path: Another list of images, below `data_root`.
        data_prefix: `dict(img_path='JPEGImages', ann_path='Annotations')`, below `data_root`; without `ann_path` there
            are no labels.
        metainfo: Facts about the whole set.
        **kwargs: As of `BaseDataset`.

    Raises:
        ValueError: neither split nor list, or an annotation names an unknown class or cannot be read.
        FileNotFoundError: an annotation is missing.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": VOC_CLASSES}

    def __init__(
        self,
        data_root: str,
        split: str = "trainval",
        *,
        image_set_path: str = "",
        data_prefix: str | Mapping[str, str] = "",
        metainfo: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not (split or image_set_path):
            raise ValueError("VOC needs a split or image_set_path")
        self.split = split
        prefix = {"img_path": data_prefix} if isinstance(data_prefix, str) and data_prefix else data_prefix
        super().__init__(
            ann_file=image_set_path or f"ImageSets/Main/{split}.txt",
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=prefix or {"img_path": "JPEGImages", "ann_path": "Annotations"},
            **kwargs,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return `img_path` of every image in the list, and its classes where there are annotations."""
        names = [line.split()[0] for line in list_from_file(self.ann_file) if line.strip()]
        return [{"img_path": join_path(self.img_prefix, f"{name}.jpg"), **self._labels(name)} for name in names]

    def _labels(self, name: str) -> dict[str, list[int]]:
        """Return the classes in an image."""
        folder = self.data_prefix.get("ann_path")
        if folder is None:
            return {}
        path = join_path(folder, f"{name}.xml")
        if not exists(path):
            raise FileNotFoundError(f"there is no annotation {path!r}; a data_prefix without ann_path needs none")
        return read_classes(get_text(path), path, self.class_to_idx)


def read_classes(text: str, name: str, class_to_idx: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the classes in an annotation as `gt_label`, those seen only with difficulty as `gt_label_difficult`.

    Args:
        text: The annotation, in XML.
        name: The file's name, for errors.
        class_to_idx: The label of each class.

    Raises:
        ValueError: it is no XML, or names an unknown class.
    """
    try:
        objects = ET.fromstring(text).findall("object")
    except ET.ParseError as error:
        raise ValueError(f"{name}: not an annotation in XML: {error}") from error
    plain: set[int] = set()
    difficult: set[int] = set()
    for one in objects:
        kind = one.findtext("name", "")
        if kind not in class_to_idx:
            raise ValueError(f"{name}: {kind!r} is none of the {len(class_to_idx)} classes")
        hard = int(one.findtext("difficult") or 0)
        (difficult if hard else plain).add(class_to_idx[kind])
    return {"gt_label": sorted(plain), "gt_label_difficult": sorted(difficult - plain)}

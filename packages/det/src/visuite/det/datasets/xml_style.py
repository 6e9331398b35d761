"""Data sets with one XML file for each image, as Pascal VOC has them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from visuite.cv.image import image_size
from visuite.det.datasets.base import BaseDetDataset, missing_files
from visuite.det.datasets.names import VOC_CLASSES
from visuite.det.registry import DATASETS
from visuite.engine.fileio import get_text, join_path, list_from_file
from visuite.engine.utils.text import did_you_mean

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@DATASETS.register_module()
class XMLDataset(BaseDetDataset):
    """Objects from an XML file for each image, which `ann_file` lists by name.

    Coordinates in the files count pixels from 1; boxes here begin at 0. Objects that are `difficult` have
    `ignore_flag=1`.

    Args:
        ann_file: A text file, below `data_root`: the name of an image in each line, without suffix.
        metainfo: Facts about the whole set, such as `classes`.
        img_subdir: The folder of images, below `data_prefix['sub_data_root']`.
        ann_subdir: The folder of XML files, below `data_prefix['sub_data_root']`.
        **kwargs: As of `BaseDetDataset`.

    Raises:
        ValueError: there are no classes, an XML file is broken or missing, or objects have other classes.
        FileNotFoundError: no XML file is there.
    """

    METAINFO: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        ann_file: str = "",
        metainfo: Mapping[str, Any] | str | None = None,
        *,
        img_subdir: str = "JPEGImages",
        ann_subdir: str = "Annotations",
        **kwargs: Any,
    ) -> None:
        self.img_subdir = img_subdir
        self.ann_subdir = ann_subdir
        #: The label of each class by its name.
        self.cat2label: dict[str, int] = {}
        self._other_classes: Counter[str] = Counter()
        super().__init__(ann_file, metainfo, **kwargs)

    @property
    def sub_data_root(self) -> str:
        """The folder that images and annotations are below."""
        return self.data_prefix.get("sub_data_root") or self.data_root

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a record of each image in the list."""
        classes = self._metainfo.get("classes")
        if not classes:
            raise ValueError(f"{type(self).__name__} needs its classes: metainfo=dict(classes=(...))")
        self.cat2label = {name: label for label, name in enumerate(classes)}
        self._other_classes.clear()
        names = [line.strip() for line in list_from_file(self.ann_file, backend_args=self.backend_args) if line.strip()]
        paths = [join_path(self.sub_data_root, self.ann_subdir, f"{name}.xml") for name in names]
        self._expect_files(paths)
        records = [
            self.parse_data_info({"img_id": name, "xml_path": path}) for name, path in zip(names, paths, strict=True)
        ]
        self._judge_other_classes(records)
        return records

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Return the record of an image, given as its `img_id` and `xml_path`."""
        name, path = raw_data_info["img_id"], raw_data_info["xml_path"]
        try:
            root = ET.fromstring(get_text(path, backend_args=self.backend_args))
            instances = [self._instance(one) for one in root.findall("object")]
        except (ET.ParseError, ValueError, TypeError) as error:
            raise ValueError(f"{path}: not an annotation in XML: {error}") from error
        img_path = self._img_path(name, root)
        width, height = self._size(root, img_path)
        return {
            "img_id": name,
            "img_path": img_path,
            "xml_path": path,
            "height": height,
            "width": width,
            "instances": [one for one in instances if one is not None],
        }

    def _img_path(self, name: str, root: ET.Element) -> str:
        """Return where an image is."""
        return join_path(self.sub_data_root, self.img_subdir, f"{name}.jpg")

    def _size(self, root: ET.Element, img_path: str) -> tuple[int, int]:
        """Return an image's width and height, from the image itself where its annotation does not tell."""
        width, height = (int(float(root.findtext(f"size/{key}") or 0)) for key in ("width", "height"))
        if not (width and height):
            height, width = image_size(img_path, backend_args=self.backend_args)
        return width, height

    def _instance(self, one: ET.Element) -> dict[str, Any] | None:
        """Return an object, or None where its class is another."""
        name = one.findtext("name", "").strip()
        if name not in self.cat2label:
            self._other_classes[name] += 1
            return None
        return {
            "bbox": [float(one.findtext(f"bndbox/{corner}", "")) - 1 for corner in _CORNERS],
            "bbox_label": self.cat2label[name],
            "ignore_flag": int(bool(int(one.findtext("difficult") or 0))),
        }

    def _expect_files(self, paths: Sequence[str]) -> None:
        missing = missing_files(paths, self.backend_args)
        if not missing:
            return
        first = next(iter(missing))
        text = f"{self.ann_file}: {len(missing)} of {len(paths)} images have no annotation, such as {first}"
        raise FileNotFoundError(text) if len(missing) == len(paths) else ValueError(text)

    def _judge_other_classes(self, records: Sequence[dict[str, Any]]) -> None:
        """Tell of objects of other classes, or refuse them; also classes none of which has an object."""
        others = self._other_classes
        strict = self.on_class_mismatch == "error"
        if others and strict and (not self.classes_chosen or not any(record["instances"] for record in records)):
            first = next(iter(others))
            told = ", ".join(f"{name} ({count} objects)" for name, count in others.most_common(10))
            raise ValueError(
                f"{self.ann_file}: {len(others)} classes of objects are none of the {len(self.cat2label)} classes: "
                f"{told}{did_you_mean(first, self.cat2label)}. Give the classes as metainfo=dict(classes=(...)), or "
                "leave out what does not fit with on_class_mismatch='drop'"
            )
        for name, count in others.items():
            self.screening.add("objects of other categories", name, count=count, wanted=self.classes_chosen)


@DATASETS.register_module()
class VOCDataset(XMLDataset):
    """Pascal VOC, Everingham et al., IJCV 2010.

    `metainfo['dataset_type']` is `VOC2007` or `VOC2012` where `data_prefix['sub_data_root']` tells the year.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": VOC_CLASSES}

    def __init__(self, ann_file: str = "", metainfo: Mapping[str, Any] | str | None = None, **kwargs: Any) -> None:
        super().__init__(ann_file, metainfo, **kwargs)
        years = [year for year in ("VOC2007", "VOC2012") if year in self.sub_data_root]
        self._metainfo["dataset_type"] = years[-1] if years else None


@DATASETS.register_module()
class WIDERFaceDataset(XMLDataset):
    """WIDER FACE, arXiv:1511.06523, with an XML file for each image; `folder` in it names the image's folder.

    Args:
        ann_file: A text file, below `data_root`: the name of an image in each line, without suffix.
        metainfo: Facts about the whole set.
        data_prefix: `img`, the folder that the folders of images and `Annotations` are below.
        **kwargs: As of `XMLDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": ("face",)}

    @property
    def sub_data_root(self) -> str:
        """The folder that the folders of images, and that of annotations, are below."""
        return self.data_prefix.get("img") or self.data_root

    def _img_path(self, name: str, root: ET.Element) -> str:
        return join_path(self.sub_data_root, root.findtext("folder", ""), f"{name}.jpg")

"""Data sets in the format of COCO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from visuite.det.datasets.base import BaseDetDataset
from visuite.det.datasets.coco_file import CocoFile, match_categories, read_coco
from visuite.det.datasets.names import CITYSCAPES_CLASSES, COCO_CLASSES, DEEP_FASHION_CLASSES
from visuite.det.registry import DATASETS

#: What the report calls annotations that are no objects.
_OTHER_CLASS, _NO_IMAGE, _IGNORE, _NO_AREA = (
    "objects of other categories", "objects of images that are not listed", "objects marked 'ignore'", "an area of 0"
)  # fmt: skip


@DATASETS.register_module()
class CocoDataset(BaseDetDataset):
    """Objects from an annotation file in the format of COCO, arXiv:1405.0312.

    The label of an object is the place of its category's name in `metainfo['classes']`, whatever the ids and the order
    of the categories in the file. Crowds are kept, with `ignore_flag=1`; objects that the file marks with `ignore` are
    left out. Masks stay polygons or RLE. Without classes, neither in `metainfo` nor of the class, the file's own
    count, in the order of their ids.

    Args:
        ann_file: The JSON file, below `data_root`.
        metainfo: Facts about the whole set, such as `classes`.
        **kwargs: As of `BaseDetDataset`.

    Raises:
        ValueError: the file is broken, or classes and categories differ.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": COCO_CLASSES}

    def __init__(self, ann_file: str = "", metainfo: Mapping[str, Any] | str | None = None, **kwargs: Any) -> None:
        #: The label of each category id, and the category ids of each label.
        self.cat2label: dict[Any, int] = {}
        super().__init__(ann_file, metainfo, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a record of each image in the file."""
        file = read_coco(self.ann_file, self.backend_args)
        self._metainfo.setdefault("classes", tuple(one["name"] for one in file.categories))
        self.cat2label, left_out = match_categories(
            file, self._metainfo["classes"], chosen=self.classes_chosen, strict=self.on_class_mismatch == "error"
        )
        for name, count in left_out.items():
            self.screening.add(_OTHER_CLASS, name, count=count, wanted=self.classes_chosen)
        if file.strays:
            example = f"image {file.strays[0]['image_id']!r}"
            self.screening.add(_NO_IMAGE, example=example, count=len(file.strays))
        return [self.parse_data_info({"raw_img_info": one, "raw_ann_info": file}) for one in file.images.values()]

    @property
    def cat_ids(self) -> list[Any]:
        """The category ids that have a label, in the order of the labels."""
        return sorted(self.cat2label, key=self.cat2label.__getitem__)

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Return the record of an image, given as `raw_img_info` in a file `raw_ann_info`."""
        image: dict[str, Any] = raw_data_info["raw_img_info"]
        file: CocoFile = raw_data_info["raw_ann_info"]
        name = self._file_name(image)
        if not (image.get("width") and image.get("height")):
            raise ValueError(f"{file.path}: image {image['id']!r} ({name}) has no width or height")
        return {
            "img_id": image["id"],
            "img_path": self._image_path(name),
            "seg_map_path": self._seg_map_path(name),
            "height": image["height"],
            "width": image["width"],
            "instances": self._instances(file.annotations.get(image["id"], ()), name),
        }

    def _file_name(self, image: Mapping[str, Any]) -> str:
        """Return the path of an image below the folder of images."""
        return image["file_name"]

    def _instances(self, annotations: Any, name: str) -> list[dict[str, Any]]:
        """Turn the annotations of an image into its objects."""
        found = []
        for one in annotations:
            label = self.cat2label.get(one["category_id"])
            if label is None:
                continue
            kind = self._metainfo["classes"][label]
            if one.get("ignore"):
                self.screening.add(_IGNORE, kind, example=name)
                continue
            left, top, width, height = one["bbox"]
            if one.get("area", 1) <= 0 and width >= 1 and height >= 1:  # thin boxes are told of with the others
                self.screening.add(_NO_AREA, kind, example=name)
                continue
            instance = {
                "bbox": [left, top, left + width, top + height],
                "bbox_label": label,
                "ignore_flag": int(bool(one.get("iscrowd"))),
            }
            if one.get("segmentation"):
                instance["mask"] = one["segmentation"]
            found.append(instance)
        return found


@DATASETS.register_module()
class CityscapesDataset(CocoDataset):
    """The things of Cityscapes, arXiv:1604.01685, converted to the format of COCO."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": CITYSCAPES_CLASSES}


@DATASETS.register_module()
class DeepFashionDataset(CocoDataset):
    """The clothes of DeepFashion, Liu et al., CVPR 2016, in the format of COCO."""

    METAINFO: ClassVar[dict[str, Any]] = {"classes": DEEP_FASHION_CLASSES}


@DATASETS.register_module(["Objects365V1Dataset", "V3DetDataset"])
class ManyClassesDataset(CocoDataset):
    """A set whose classes are the categories of its file, by their ids: Objects365 v1, and V3Det, arXiv:2304.03752."""

    METAINFO: ClassVar[dict[str, Any]] = {}


@DATASETS.register_module()
class Objects365V2Dataset(CocoDataset):
    """Objects365 v2, Shao et al., ICCV 2019: classes are the categories of its file, by their ids.

    Of the paths in the file (`images/v1/patch8/x.jpg`), the last folder and the name count.
    """

    METAINFO: ClassVar[dict[str, Any]] = {}

    def _file_name(self, image: Mapping[str, Any]) -> str:
        return "/".join(image["file_name"].split("/")[-2:])


@DATASETS.register_module(["LVISV05Dataset", "LVISDataset", "LVISV1Dataset"])
class LVISDataset(CocoDataset):
    """LVIS, arXiv:1908.03195, of versions 0.5 and 1: classes are the categories of its file, by their ids.

    Images of version 1 are told by their URL: `train2017/000000391895.jpg` below the folder of images. Those of version
    0.5 bear the longer names of COCO 2014, whose last 16 characters count.
    """

    METAINFO: ClassVar[dict[str, Any]] = {}

    def _file_name(self, image: Mapping[str, Any]) -> str:
        if "file_name" not in image:
            return "/".join(image["coco_url"].split("/")[-2:])
        name = image["file_name"]
        return name[-16:] if name.startswith("COCO") else name

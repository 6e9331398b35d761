"""Things and stuff: every pixel of an image belongs to one segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from visuite.det.datasets.coco import CocoDataset
from visuite.det.datasets.coco_file import CocoFile
from visuite.det.datasets.names import COCO_CLASSES, COCO_STUFF_CLASSES
from visuite.det.registry import DATASETS


@DATASETS.register_module()
class CocoPanopticDataset(CocoDataset):
    """COCO's panoptic segments, arXiv:1801.00868.

    A record also has `segments_info`, a list of `dict(id, category, is_thing)`: `id` is the segment's number in the map
    `seg_map_path`, `category` its label. Things that are no crowds are instances too; crowds count as stuff.

    Args:
        ann_file: The JSON file, below `data_root`.
        metainfo: Facts about the whole set: `classes`, and which of them are `thing_classes` and `stuff_classes`.
        data_prefix: `img` and `seg`, the folders of images and maps.
        **kwargs: As of `BaseDetDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": COCO_CLASSES + COCO_STUFF_CLASSES,
        "thing_classes": COCO_CLASSES,
        "stuff_classes": COCO_STUFF_CLASSES,
    }

    def __init__(
        self,
        ann_file: str = "",
        metainfo: Mapping[str, Any] | str | None = None,
        *,
        data_prefix: Mapping[str, str] = {"img": "", "seg": ""},
        **kwargs: Any,
    ) -> None:
        super().__init__(ann_file, metainfo, data_prefix=data_prefix, **kwargs)

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Return the record of an image, given as `raw_img_info` in a file `raw_ann_info`."""
        image, file = raw_data_info["raw_img_info"], raw_data_info["raw_ann_info"]
        segments = [one for one in file.annotations.get(image["id"], ()) if one["category_id"] in self.cat2label]
        things = {one["id"] for one in file.categories if one.get("isthing", True)}
        own = CocoFile(file.path, annotations={image["id"]: [one for one in segments if one["category_id"] in things]})
        record = super().parse_data_info({"raw_img_info": image, "raw_ann_info": own})
        record["segments_info"] = [
            {
                "id": one["id"],
                "category": self.cat2label[one["category_id"]],
                "is_thing": one["category_id"] in things and not one.get("iscrowd"),
            }
            for one in segments
        ]
        return record

"""CrowdHuman: people in crowds, each with a box of the whole body."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from visuite.cv.image import image_size
from visuite.det.datasets.base import BaseDetDataset
from visuite.det.registry import DATASETS
from visuite.engine.dataset.base import below
from visuite.engine.fileio import exists, get_text, load

_BOXES = ("fbox", "hbox", "vbox")


@DATASETS.register_module()
class CrowdHumanDataset(BaseDetDataset):
    """CrowdHuman, Shao et al., arXiv:1805.00123, from its `.odgt` files: a JSON document in each line.

    The box of an object is that of the whole body (`fbox`), also where others hide it. People that the file tells to
    ignore, and what is no person (`mask`: reflections, statues), have `ignore_flag=1`.

    Args:
        ann_file: The `.odgt` file, below `data_root`.
        metainfo: Facts about the whole set, such as `classes`.
        extra_ann_file: A JSON file `{name of the image: [height, width]}`, below `data_root`; without it, sizes are
            read from the images.
        **kwargs: As of `BaseDetDataset`.

    Raises:
        ValueError: a line is broken; names it.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": ("person",)}

    def __init__(
        self,
        ann_file: str = "",
        metainfo: Mapping[str, Any] | str | None = None,
        *,
        extra_ann_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.extra_ann_file = extra_ann_file and below(kwargs.get("data_root") or "", extra_ann_file)
        super().__init__(ann_file, metainfo, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a record of each line."""
        sizes = self._sizes()
        return [
            self.parse_data_info({**image, "sizes": sizes}) for image in read_odgt(self.ann_file, self.backend_args)
        ]

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Return the record of an image, given as a line of the file and the known `sizes` (h, w)."""
        name = f"{raw_data_info['ID']}.jpg"
        path = self._image_path(name)
        known = raw_data_info["sizes"].get(name)
        height, width = image_size(path, backend_args=self.backend_args) if known is None else known
        return {
            "img_id": raw_data_info["ID"],
            "img_path": path,
            "height": int(height),
            "width": int(width),
            "instances": raw_data_info["instances"],
        }

    def _sizes(self) -> dict[str, tuple[int, int]]:
        """Return the sizes (h, w) that are known, by the image's name."""
        if not self.extra_ann_file or not exists(self.extra_ann_file, backend_args=self.backend_args):
            return {}
        known = load(self.extra_ann_file, backend_args=self.backend_args)
        return {name.rsplit("/", 1)[-1]: (size[0], size[1]) for name, size in known.items()}


def read_odgt(path: str, backend_args: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Iterate over the images of an `.odgt` file: `ID`, and their objects as `instances` of a record.

    Raises:
        ValueError: a line is broken; names it.
    """
    for number, line in enumerate(get_text(path, backend_args=backend_args).splitlines(), 1):
        if not line.strip():
            continue
        try:
            image = json.loads(line)
            yield {"ID": image["ID"], "instances": [_instance(one) for one in image["gtboxes"]]}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: no image of CrowdHuman: {error!r}") from error


def _instance(one: Mapping[str, Any]) -> dict[str, Any]:
    ignored = one["tag"] != "person" or one.get("extra", {}).get("ignore", 0) == 1
    boxes = {key: one[key] for key in _BOXES if key in one}
    left, top, width, height = one["fbox"]
    return {
        "bbox": [left, top, left + width, top + height],
        "bbox_label": 0,
        "ignore_flag": int(ignored),
        **boxes,
    }

"""CrowdHuman: people in crowds, each with a box of the whole body."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
        records = []
        for number, line in enumerate(get_text(self.ann_file, backend_args=self.backend_args).splitlines(), 1):
            if not line.strip():
                continue
            try:
                records.append(self.parse_data_info({**json.loads(line), "sizes": sizes}))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{self.ann_file}, line {number}: no image of CrowdHuman: {error!r}") from error
        return records

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
            "instances": [_instance(one) for one in raw_data_info["gtboxes"]],
        }

    def _sizes(self) -> dict[str, tuple[int, int]]:
        """Return the sizes (h, w) that are known, by the image's name."""
        if not self.extra_ann_file or not exists(self.extra_ann_file, backend_args=self.backend_args):
            return {}
        known = load(self.extra_ann_file, backend_args=self.backend_args)
        return {name.rsplit("/", 1)[-1]: (size[0], size[1]) for name, size in known.items()}


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

"""What all classification data sets share: the names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from visuite.engine.dataset import BaseDataset as EngineDataset
from visuite.engine.fileio import list_from_file


class BaseDataset(EngineDataset):
    """Images with `gt_label`, an index into `metainfo['classes']`.

    Args:
        ann_file: The annotation file, below `data_root`.
        metainfo: Facts about the whole set, such as `classes`.
        data_root: The folder that all else is below.
        data_prefix: Folder of the images, below `data_root`; or `dict(img_path=...)`.
        classes: The names of the classes, or a file with one per line; the short form of `metainfo=dict(classes=...)`.
        **kwargs: As of the engine's `BaseDataset`: `pipeline`, `indices`, `test_mode`, ...
    """

    #: Of images that records hold as arrays: `bgr`, as files are loaded, `rgb` or `grey`.
    channel_order: ClassVar[str] = "bgr"

    def __init__(
        self,
        ann_file: str = "",
        metainfo: Mapping[str, Any] | None = None,
        *,
        data_root: str = "",
        data_prefix: str | Mapping[str, str] = "",
        classes: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        if classes is not None:
            names = list_from_file(classes) if isinstance(classes, str) else classes
            metainfo = {**(metainfo or {}), "classes": tuple(names)}
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix={"img_path": data_prefix} if isinstance(data_prefix, str) else data_prefix,
            **kwargs,
        )

    @property
    def img_prefix(self) -> str:
        """The folder of the images."""
        return self.data_prefix["img_path"]

    @property
    def CLASSES(self) -> tuple[str, ...] | None:
        """The names of the classes, where they are known."""
        classes = self._metainfo.get("classes")
        return None if classes is None else tuple(classes)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class by its name."""
        return {name: index for index, name in enumerate(self.CLASSES or ())}

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels of all images, (N,) int64."""
        return np.array([self.get_data_info(index)["gt_label"] for index in range(len(self))], np.int64)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the classes in an image."""
        return [int(label) for label in np.atleast_1d(self.get_data_info(idx)["gt_label"])]

    def extra_repr(self) -> list[str]:
        """Lines about this data set for people."""
        return [f"The `CLASSES` meta info: {len(self.CLASSES or ())} classes", f"Root of dataset: {self.data_root}"]

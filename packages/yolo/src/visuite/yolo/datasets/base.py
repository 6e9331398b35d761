"""What data sets of the YOLO family can do besides detection's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from visuite.cv.image import DiskImageCache, ImageCache, MemoryImageCache
from visuite.det.datasets import BaseDetDataset
from visuite.engine.dataset.base import below
from visuite.engine.utils.text import did_you_mean
from visuite.yolo.registry import TASK_UTILS

CacheType = Literal["ram", "disk"]


class YOLOv5Dataset(BaseDetDataset):
    """Detection's data set, which stands in its records while training, so that Mosaic and MixUp can draw from it.

    Put it before the data set whose format it reads: `class MyDataset(YOLOv5Dataset, CocoDataset)`.

    Args:
        ann_file: The annotation file, below `data_root`.
        metainfo: Facts about the whole set, such as `classes`.
        batch_shapes_cfg: A `BatchShapePolicy`, or its config: images are sorted by their shape, so that batches of a
            test need little padding. In training it has no effect.
        cache_type: Keep decoded images, in memory (`ram`) or in a folder (`disk`), see `visuite.cv.image.cache`.
        cache_bytes: The most that they take, all workers of a loader together.
        cache_dir: The folder, below `data_root`.
        **kwargs: As of the data set whose format is read.

    Raises:
        ValueError: an unknown `cache_type`, or `disk` without a folder.
    """

    def __init__(
        self,
        ann_file: str = "",
        metainfo: Mapping[str, Any] | str | None = None,
        *,
        batch_shapes_cfg: Mapping[str, Any] | Any | None = None,
        cache_type: CacheType | None = None,
        cache_bytes: int = 8 << 30,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.batch_shapes = TASK_UTILS.build(batch_shapes_cfg) if batch_shapes_cfg else None
        folder = None if cache_dir is None else below(kwargs.get("data_root") or "", cache_dir)
        self.image_cache = _image_cache(cache_type, cache_bytes, folder)
        super().__init__(ann_file, metainfo, **kwargs)

    def order_data(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the records, sorted by their shape for a test."""
        return self.batch_shapes(records) if self.batch_shapes is not None and self.test_mode else records

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return a copy of record `idx`, with the cache that its image is read through."""
        record = super().get_data_info(idx)
        if self.image_cache is not None:
            record["image_cache"] = self.image_cache
        return record

    def prepare_data(self, idx: int) -> Any:
        """Run record `idx` through the pipeline; while training the data set is at `dataset`."""
        record = self.get_data_info(idx)
        if not self.test_mode:
            record["dataset"] = self
        sample = self.pipeline(record)
        if isinstance(sample, dict):  # whoever keeps the sample is to keep no data set
            sample.pop("dataset", None)
            sample.pop("image_cache", None)
        return sample


def _image_cache(kind: str | None, most: int, folder: str | None) -> ImageCache | None:
    if kind is None:
        return None
    if kind not in get_args(CacheType):
        raise ValueError(f"cache_type {kind!r} is neither 'ram' nor 'disk'{did_you_mean(kind, get_args(CacheType))}")
    if kind == "ram":
        return MemoryImageCache(most)
    if folder is None:
        raise ValueError("cache_type='disk' needs a folder: set cache_dir")
    return DiskImageCache(folder, most)

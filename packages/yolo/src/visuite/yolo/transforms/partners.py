"""The other images of a mosaic or a mixture: out of the data set, or of what this process made last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.det.transforms.cache import SampleCache
from visuite.engine.dataset import Compose
from visuite.engine.dataset.seeding import derived_randomness


class Partners:
    """Where a transform takes other images from.

    By default from the data set, which training pipelines find at `dataset`: which samples is drawn from the sample's
    own randomness, and what their transforms draw comes from streams derived of it, so that neither the number of
    workers nor a resumed run changes anything. With a cache nothing is read twice; mind `SampleCache`: samples then
    depend on the number of workers.

    Args:
        pre_transform: What is done to a record of the data set, beginning with reading it.
        use_cached: Take copies of what this transform met last.
        max_cached_images: How many of them are kept.
        random_pop: Let chance decide which one makes room for a new one.
        max_refetch: How many records are tried where `pre_transform` drops them.
        least: How many images the transform needs, its own among them.

    Raises:
        ValueError: the cache is smaller than that.
    """

    def __init__(
        self,
        pre_transform: Sequence[Any] | None,
        *,
        use_cached: bool,
        max_cached_images: int,
        random_pop: bool,
        max_refetch: int,
        least: int,
    ) -> None:
        if use_cached and max_cached_images < least:
            raise ValueError(f"{least} images become one, max_cached_images is {max_cached_images}")
        self.pre_transform = Compose(pre_transform)
        self.cache = SampleCache(max_cached_images, random_pop) if use_cached else None
        self.max_refetch = max_refetch
        self.least = least

    def keep(self, results: dict[str, Any]) -> None:
        """Keep a copy of a sample, where there is a cache."""
        if self.cache is not None:
            self.cache.push({key: value for key, value in results.items() if key != "dataset"})

    def draw(self, results: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """Return other samples, whose arrays are not to be written to; none while the cache is too empty.

        Raises:
            KeyError: the sample does not know its data set.
            RuntimeError: `pre_transform` drops everything.
        """
        if self.cache is not None:
            return [self.cache.draw() for _ in range(count)] if len(self.cache) >= self.least else []
        if results.get("dataset") is None:
            raise KeyError(
                "images are mixed with others of the data set, which is not at 'dataset': use a data set of "
                "visuite.yolo, such as YOLOv5CocoDataset, without test_mode; or use_cached=True"
            )
        return [self._made(results["dataset"]) for _ in range(count)]

    def _made(self, dataset: Any) -> dict[str, Any]:
        """Draw a sample of the data set, and run it through `pre_transform`."""
        for _ in range(self.max_refetch):
            index = np.random.randint(len(dataset))
            with derived_randomness():
                sample = self.pre_transform({**dataset.get_data_info(index), "dataset": dataset})
            if sample is not None:
                return sample
        raise RuntimeError(f"pre_transform dropped {self.max_refetch} samples in a row: check it, or raise max_refetch")

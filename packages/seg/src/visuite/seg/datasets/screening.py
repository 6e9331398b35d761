"""Looking through maps for values that are no classes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from visuite.cv.image import ImageError
from visuite.seg.datasets.base import BaseSegDataset

_THREADS = 8


@dataclass(frozen=True)
class StrayValue:
    """A value of maps that is neither a class nor ignored, in classes as they are learned.

    Attributes:
        value: The value.
        pixels: How many pixels have it.
        maps: How many maps have it.
        example: The first of these files.
    """

    value: int
    pixels: int
    maps: int
    example: str


@dataclass(frozen=True)
class Screening:
    """What was found in some maps of a data set.

    Attributes:
        looked_at: How many maps were read.
        strays: Values that are no classes, in order.
        broken: What is wrong with files that cannot be read.
        absent: Numbers of classes of which no map that was read has a pixel.
    """

    looked_at: int
    strays: list[StrayValue]
    broken: list[str]
    absent: list[int]


def screen_maps(dataset: BaseSegDataset, most: int | None = None) -> Screening:
    """Look through a data set's maps.

    Args:
        dataset: The data set, with maps.
        most: How many to read, spread evenly over it; by default all.
    """
    size = len(dataset)
    indices = range(size) if most is None or most >= size else np.linspace(0, size - 1, most).astype(int).tolist()

    def count(index: int) -> dict[int, int] | str:
        try:
            values, pixels = np.unique(dataset.read_map(index), return_counts=True)
        except (ImageError, FileNotFoundError) as error:
            return str(error)
        return dict(zip(values.tolist(), pixels.tolist(), strict=True))

    with ThreadPoolExecutor(_THREADS) as pool:  # decoding leaves Python's lock alone
        found = list(zip(indices, pool.map(count, indices), strict=True))
    return _summary(dataset, found)


def _summary(dataset: BaseSegDataset, found: list[tuple[int, dict[int, int] | str]]) -> Screening:
    num_classes = len(dataset.metainfo["classes"])
    seen: set[int] = set()
    strays: dict[int, StrayValue] = {}
    for index, counts in found:
        if isinstance(counts, str):
            continue
        seen.update(counts)
        for value, pixels in counts.items():
            if value == dataset.ignore_index or 0 <= value < num_classes:
                continue
            before = strays.get(value) or StrayValue(value, 0, 0, dataset.get_data_info(index)["seg_map_path"])
            strays[value] = StrayValue(value, before.pixels + pixels, before.maps + 1, before.example)
    return Screening(
        looked_at=len(found),
        strays=[strays[value] for value in sorted(strays)],
        broken=[counts for _, counts in found if isinstance(counts, str)],
        absent=[label for label in range(num_classes) if label not in seen],
    )

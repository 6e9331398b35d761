"""Batches of images of like shape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from visuite.det.registry import DATA_SAMPLERS


class Orientations:
    """Which images of a data set are wide; a record is read when it is first asked for.

    Args:
        dataset: A data set whose records have `width` and `height`.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._known = np.full(len(dataset), -1, np.int8)

    def is_wide(self, index: int) -> bool:
        """Tell whether an image is at least as wide as it is high.

        Raises:
            KeyError: its record does not tell.
        """
        if self._known[index] < 0:
            record = self.dataset.get_data_info(index)
            if "width" not in record or "height" not in record:
                name = type(self.dataset).__name__
                raise KeyError(f"record {index} of {name} tells no width and height: {list(record)}")
            self._known[index] = record["width"] >= record["height"]
        return bool(self._known[index])

    def all(self) -> np.ndarray:
        """Tell it of all images, (N,) bool."""
        return np.array([self.is_wide(index) for index in range(len(self._known))], bool)


@DATA_SAMPLERS.register_module()
class AspectRatioBatchSampler(Sampler[list[int]]):
    """Batches whose images are all wide, or all not, so that little of a batch is padding.

    What the two kinds leave over at the end of the samples comes in common batches, so that every rank has as many
    batches as without grouping. Which samples a batch holds is a function of the sampler's order alone.

    Args:
        sampler: Gives indices of `sampler.dataset`.
        batch_size: How many.
        drop_last: Leave out a last batch that is not full.

    Raises:
        TypeError: the sampler is none.
        ValueError: the batch size is not positive.
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        if not isinstance(sampler, Sampler) or not hasattr(sampler, "dataset"):
            raise TypeError(f"AspectRatioBatchSampler groups what a sampler gives, not {type(sampler).__name__}")
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size is a positive integer, not {batch_size!r}")
        self.sampler: Any = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._orientations = Orientations(sampler.dataset)

    def __iter__(self) -> Iterator[list[int]]:
        waiting: tuple[list[int], list[int]] = ([], [])
        for index in self.sampler:
            group = waiting[self._orientations.is_wide(index)]
            group.append(index)
            if len(group) == self.batch_size:
                yield list(group)
                group.clear()
        yield from self._rest([*waiting[0], *waiting[1]])

    def _rest(self, left: Sequence[int]) -> Iterator[list[int]]:
        for start in range(0, len(left), self.batch_size):
            batch = list(left[start : start + self.batch_size])
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        share = len(self.sampler) / self.batch_size
        return math.floor(share) if self.drop_last else math.ceil(share)

"""Data sets made of data sets.

A wrapper opens the sample's randomness and passes plain integers on, so that nested data sets draw from
the stream of the outermost sample.
"""

from __future__ import annotations

import bisect
import copy
import itertools
import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from visuite.engine.dataset.base import force_full_init
from visuite.engine.dataset.naming import naming
from visuite.engine.dataset.seeding import fetch_samples, sample_randomness
from visuite.engine.registry import DATASETS


class DatasetWrapper(Dataset):
    """What every wrapper does alike; a subclass says which sample of which data set stands at an index."""

    _metainfo: Mapping[str, Any]
    _fully_initialized = False

    def full_init(self) -> None:
        """Have the wrapped data sets read their annotations."""
        raise NotImplementedError

    def _locate(self, idx: int) -> tuple[Any, int]:
        """Return the wrapped data set that sample `idx` (already in range) lies in, and its index there."""
        raise NotImplementedError

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the facts about the wrapped data."""
        return copy.deepcopy(dict(self._metainfo))

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the record behind sample `idx`."""
        dataset, index = self._locate(self._checked(idx))
        return dataset.get_data_info(index)

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories in sample `idx`."""
        dataset, index = self._locate(self._checked(idx))
        return dataset.get_cat_ids(index)

    @force_full_init
    def __getitem__(self, idx: int) -> Any:
        with sample_randomness(idx) as index:
            dataset, inner = self._locate(self._checked(index))
            with naming(dataset, inner):
                return dataset[inner]

    def __getitems__(self, keys: Sequence[int]) -> list[Any]:
        """Return the samples of a batch."""
        return fetch_samples(self, keys)

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Refuse: a part of a wrapped data set is taken before wrapping."""
        raise TypeError(f"take the subset of the data set inside {type(self).__name__}, for instance with indices=...")

    def get_subset(self, indices: int | Sequence[int]) -> Any:
        """Refuse, like `get_subset_`."""
        return self.get_subset_(indices)

    def _checked(self, idx: int) -> int:
        index, size = operator.index(idx), len(self)  # type: ignore[arg-type]
        if not -size <= index < size:
            raise IndexError(f"{type(self).__name__} has {size} samples, there is no number {index}")
        return index % size


def _as_dataset(dataset: Any) -> Any:
    """Build a data set from its config, or return a ready-made one.

    Raises:
        TypeError: neither of the two.
    """
    built = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
    if not hasattr(built, "full_init"):
        raise TypeError(f"a data set to wrap is a config, a BaseDataset or a wrapper, not {type(built).__name__}")
    return built


@DATASETS.register_module()
class ConcatDataset(DatasetWrapper):
    """Several data sets one behind the other.

    Args:
        datasets: Data sets or their configs.
        lazy_init: Read the annotations on first use.
        ignore_keys: Keys of `metainfo` in which the data sets may differ.

    Raises:
        ValueError: there is no data set, or their metainfo differs.
    """

    def __init__(
        self, datasets: Sequence[Any], lazy_init: bool = False, ignore_keys: str | Sequence[str] | None = None
    ) -> None:
        self.datasets = [_as_dataset(one) for one in datasets]
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one data set")
        self.ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else list(ignore_keys or ())
        self.cumulative_sizes: list[int] = []
        self._take_metainfo()
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read all parts' annotations."""
        if self._fully_initialized:
            return
        for one in self.datasets:
            one.full_init()
        self._take_metainfo()  # annotation files may have added to it
        self.cumulative_sizes = list(itertools.accumulate(len(one) for one in self.datasets))
        self._fully_initialized = True

    @force_full_init
    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def _locate(self, idx: int) -> tuple[Any, int]:
        part = bisect.bisect_right(self.cumulative_sizes, idx)
        return self.datasets[part], idx - (self.cumulative_sizes[part - 1] if part else 0)

    def _take_metainfo(self) -> None:
        self._metainfo = self.datasets[0].metainfo
        for position, one in enumerate(self.datasets[1:], 1):
            self._compare_metainfo(position, one.metainfo)

    def _compare_metainfo(self, position: int, other: Mapping[str, Any]) -> None:
        for key in sorted({*self._metainfo, *other} - {*self.ignore_keys}):
            mine, theirs = self._metainfo.get(key), other.get(key)
            same = key in self._metainfo and key in other
            if not (same and _equal(mine, theirs)):
                raise ValueError(
                    f"data sets 0 and {position} of ConcatDataset differ in metainfo[{key!r}]: {mine!r:.120} and "
                    f"{theirs!r:.120}; ignore_keys=[{key!r}] takes that of data set 0"
                )


@DATASETS.register_module()
class RepeatDataset(DatasetWrapper):
    """A data set several times over, so that an epoch is longer and workers start less often.

    Args:
        dataset: A data set or its config.
        times: How often.
        lazy_init: Read the annotations on first use.
    """

    def __init__(self, dataset: Any, times: int, lazy_init: bool = False) -> None:
        if times < 1:
            raise ValueError(f"times is at least 1, not {times}")
        self.dataset = _as_dataset(dataset)
        self.times = times
        self._metainfo = self.dataset.metainfo
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the data set's annotations."""
        self.dataset.full_init()
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = True

    @force_full_init
    def __len__(self) -> int:
        return self.times * len(self.dataset)

    def _locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, idx % len(self.dataset)


@DATASETS.register_module()
class ClassBalancedDataset(DatasetWrapper):
    """A data set whose rare categories come more often (repeat-factor sampling of LVIS, arXiv:1908.03195).

    With f(c) the share of samples that hold category c, a sample is repeated
    `ceil(max_c max(1, sqrt(oversample_thr / f(c))))` times, c being its categories.

    Args:
        dataset: A data set with `get_cat_ids`, or its config.
        oversample_thr: The share below which a category counts as rare.
        lazy_init: Read the annotations on first use.
    """

    def __init__(self, dataset: Any, oversample_thr: float, lazy_init: bool = False) -> None:
        self.dataset = _as_dataset(dataset)
        self.oversample_thr = oversample_thr
        self._metainfo = self.dataset.metainfo
        self.repeat_indices = np.zeros(0, dtype=np.int64)
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the data set's annotations and lay out the repeated indices."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        self._metainfo = self.dataset.metainfo
        factors = repeat_factors([self.dataset.get_cat_ids(i) for i in range(len(self.dataset))], self.oversample_thr)
        self.repeat_indices = np.repeat(np.arange(len(factors)), [math.ceil(factor) for factor in factors])
        self._fully_initialized = True

    @force_full_init
    def __len__(self) -> int:
        return len(self.repeat_indices)

    def _locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, int(self.repeat_indices[idx])


def repeat_factors(categories: Sequence[Sequence[int]], threshold: float) -> list[float]:
    """Return how often each sample comes, from the categories in it; 1 for a sample without any."""
    holding = Counter(category for sample in categories for category in set(sample))
    factor = {category: max(1.0, math.sqrt(threshold * len(categories) / count)) for category, count in holding.items()}
    return [max((factor[category] for category in sample), default=1.0) for sample in categories]


def _equal(one: Any, other: Any) -> bool:
    """Compare two values of metainfo, arrays included."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)

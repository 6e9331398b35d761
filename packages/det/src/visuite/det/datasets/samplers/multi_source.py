"""Batches with so many samples of each source, as learning from labelled and unlabelled images needs.

S: sources.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from visuite.det.datasets.samplers.aspect_ratio import Orientations
from visuite.det.registry import DATA_SAMPLERS
from visuite.engine.dataset import EndlessSampler, SampleKey, permutation
from visuite.engine.dataset.seeding import mix
from visuite.engine.dist import get_dist_info, sync_random_seed


class Pool:
    """Samples that are taken round after round; the order of a round is a function of (seed, round).

    Args:
        indices: The samples.
        seed: Of the order.
        shuffle: Shuffle every round.
    """

    def __init__(self, indices: np.ndarray, seed: int, *, shuffle: bool) -> None:
        self.indices = indices
        self.seed = seed
        self.shuffle = shuffle
        self._round = -1
        self._order = indices

    def __getitem__(self, position: int) -> tuple[int, int]:
        """Return the sample at a place of the endless stream, and its round."""
        round_, offset = divmod(position, len(self.indices))
        if round_ != self._round:
            order = permutation(len(self.indices), self.seed, round_) if self.shuffle else slice(None)
            self._order, self._round = self.indices[order], round_
        return int(self._order[offset]), round_


@DATA_SAMPLERS.register_module()
class MultiSourceSampler(EndlessSampler):
    """Batch after batch with samples of all sources in given shares, without an end.

    Args:
        dataset: A `ConcatDataset`, whose parts are the sources.
        batch_size: That of the loader.
        source_ratio: Shares of the S sources in a batch; the first takes what rounding leaves over.
        shuffle: Shuffle each source in every round.
        seed: The same on all ranks; drawn and shared when None.

    Raises:
        TypeError: the data set is not concatenated.
        ValueError: there are not S shares, or one of them gives no sample.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        source_ratio: Sequence[float],
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        if not hasattr(dataset, "cumulative_sizes"):
            found = type(dataset).__name__
            raise TypeError(f"{type(self).__name__} takes from the parts of a ConcatDataset, not from a {found}")
        ends = list(dataset.cumulative_sizes)
        if len(source_ratio) != len(ends):
            raise ValueError(f"source_ratio has {len(source_ratio)} shares for {len(ends)} sources")
        counts = [int(batch_size * share / sum(source_ratio)) for share in source_ratio]
        counts[0] = batch_size - sum(counts[1:])
        sizes = np.diff([0, *ends])
        if min(counts) < 1 or min(sizes) < 1:
            raise ValueError(f"of {batch_size} samples, sources of {sizes.tolist()} samples would give {counts}")
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_per_source = counts
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self._sources = [np.arange(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        self._pools = self._make_pools()

    def __iter__(self) -> Iterator[int]:
        start, self.start = self.start, 0
        batch, offset = divmod(start, self.batch_size)
        return itertools.islice(self._samples(batch), offset, None)

    def __len__(self) -> int:
        return len(self.dataset)

    def _samples(self, batch: int) -> Iterator[int]:
        """Yield the samples of this rank from its batch of that number on."""
        for number in itertools.count(batch):
            group, place = self._place(number * self.world_size + self.rank)
            for pool, count in zip(self._pools[group], self.num_per_source, strict=True):
                for position in range(place * count, (place + 1) * count):
                    index, round_ = pool[position]
                    yield SampleKey(index, self.seed, round_)

    def _make_pools(self) -> list[list[Pool]]:
        """Return the pools of each group of samples that may meet, one for each source."""
        return [[self._pool(source, number) for number, source in enumerate(self._sources)]]

    def _pool(self, indices: np.ndarray, *identity: int) -> Pool:
        return Pool(indices, mix(self.seed, *identity), shuffle=self.shuffle)

    def _place(self, batch: int) -> tuple[int, int]:
        """Return which group a batch is of, and how many batches of this group come before."""
        return 0, batch


@DATA_SAMPLERS.register_module()
class GroupMultiSourceSampler(MultiSourceSampler):
    """A `MultiSourceSampler` whose batches are all of wide images, or all of others, by chance as often as those come.

    Args:
        dataset: A `ConcatDataset`, whose parts are the sources; its records have `width` and `height`.
        batch_size: That of the loader.
        **kwargs: As of `MultiSourceSampler`.

    Raises:
        ValueError: as `MultiSourceSampler`, or no kind of image is in all sources.
    """

    #: Batches whose groups are drawn at a time.
    _CHUNK = 4096

    def _make_pools(self) -> list[list[Pool]]:
        wide = Orientations(self.dataset).all()
        groups = [[source[wide[source] == kind] for source in self._sources] for kind in (False, True)]
        whole = [group for group in groups if all(len(one) for one in group)]
        if not whole:
            raise ValueError("no kind of image, wide or not, is in all sources: take MultiSourceSampler")
        sizes = np.array([sum(len(one) for one in group) for group in whole], np.float64)
        self._thresholds = np.cumsum(sizes / sizes.sum())[:-1]
        self._chunk, self._drawn, self._before = -1, np.zeros(0, np.int64), np.zeros(0, np.int64)
        return [[self._pool(one, number, kind) for number, one in enumerate(group)] for kind, group in enumerate(whole)]

    def _place(self, batch: int) -> tuple[int, int]:
        chunk, offset = divmod(batch, self._CHUNK)
        while self._chunk != chunk:
            if chunk < self._chunk or self._chunk < 0:
                self._chunk, self._before = 0, np.zeros(len(self._thresholds) + 1, np.int64)
            else:
                self._before += np.bincount(self._drawn, minlength=len(self._before))
                self._chunk += 1
            draws = np.random.default_rng([self.seed, self._chunk]).random(self._CHUNK)
            self._drawn = np.searchsorted(self._thresholds, draws, side="right")
        group = int(self._drawn[offset])
        return group, int(self._before[group] + (self._drawn[:offset] == group).sum())

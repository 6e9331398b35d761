"""Batches for a training loop, from any (epoch, batch) on, without reading the data before it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, cast

import torch.utils.data
from torch.utils.data import BatchSampler, DataLoader, Sampler

from visuite.engine.dataset.naming import named
from visuite.engine.dataset.sampler import EndlessSampler
from visuite.engine.dataset.seeding import SampleKey, kept_generators


class KeyedBatchSampler(Sampler[list[int]]):
    """Turn the indices of a batch sampler into `SampleKey`s, starting at a given batch.

    The loader iterates this object, so that skipping costs index arithmetic and no loading.

    Args:
        batch_sampler: Gives lists of indices.
        seed: Of the samples' randomness.
        limit: End an epoch after so many batches.
    """

    def __init__(self, batch_sampler: Any, seed: int, limit: int | None = None) -> None:
        self.batch_sampler = batch_sampler
        self.seed = seed
        self.limit = limit
        self.epoch = 0
        self.skip = 0

    @property
    def endless(self) -> EndlessSampler | None:
        """The sampler whose stream has no end of its own, if it is one."""
        sampler = getattr(self.batch_sampler, "sampler", None)
        return sampler if isinstance(sampler, EndlessSampler) else None

    def __iter__(self) -> Iterator[list[int]]:
        skip, self.skip = self.skip, 0
        left = None if self.limit is None else max(0, self.limit - skip)
        if self.endless:
            skip += self.epoch * (self.limit or 0)
            if isinstance(self.batch_sampler, BatchSampler):  # one that groups samples has to see all before
                self.endless.skip_to(skip * self.batch_sampler.batch_size)
                skip = 0
        for batch in itertools.islice(self.batch_sampler, skip, None if left is None else skip + left):
            yield [key if isinstance(key, SampleKey) else SampleKey(key, self.seed, self.epoch) for key in batch]

    def __len__(self) -> int:
        if self.limit is None:
            return len(self.batch_sampler)
        return self.limit if self.endless else min(self.limit, len(self.batch_sampler))

    def __getattr__(self, name: str) -> Any:
        if name == "batch_sampler":  # while unpickling, before there is one
            raise AttributeError(name)
        return getattr(self.batch_sampler, name)


def set_epoch(loader: Any, epoch: int) -> None:
    """Tell a loader's samplers, and the keys they hand out, which epoch begins."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    if isinstance(batch_sampler, KeyedBatchSampler):
        batch_sampler.epoch = epoch
    for owner in (getattr(loader, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None)):
        begin = getattr(owner, "set_epoch", None)
        if callable(begin):
            begin(epoch)


def epoch_batches(loader: Any, epoch: int, start: int = 0) -> Iterator[Any]:
    """Iterate over the batches of one epoch from batch `start` on.

    A loader that was not built here cannot be told where to start: its first batches are read and dropped.
    """
    set_epoch(loader, epoch)
    batch_sampler = getattr(loader, "batch_sampler", None)
    if isinstance(batch_sampler, KeyedBatchSampler):
        batch_sampler.skip = start
        return iter(loader)
    # torch draws a seed for each iterator from the global generator; a resumed run makes one more.
    with kept_generators():
        batches = all_batches(loader)
    return itertools.islice(batches, start, None)


#: torch's pipes, which it no longer develops: a version to come may lack them.
_PIPES = tuple(getattr(torch.utils.data, name) for name in torch.utils.data.__all__ if name.endswith("DataPipe"))


def all_batches(loader: Any) -> Iterator[Any]:
    """Iterate over a loader; samples that fail are named, also in one that was built by hand."""
    if not isinstance(loader, DataLoader) or isinstance(loader.batch_sampler, KeyedBatchSampler):
        return iter(loader)
    dataset = loader.dataset
    if isinstance(dataset, _PIPES):  # torch asks these for their class
        return iter(loader)
    loader.__dict__["dataset"] = named(dataset)  # which torch reads here alone, for the iterator and its workers
    try:
        return iter(loader)
    finally:
        loader.__dict__["dataset"] = dataset


def is_part(loader: Any) -> bool:
    """Tell whether a loader gives a chosen part of its data: so many batches, or records picked by `indices`."""
    if getattr(getattr(loader, "batch_sampler", None), "limit", None) is not None:
        return True
    dataset = loader.dataset
    while hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    return any(getattr(one, "_indices", None) is not None for one in getattr(dataset, "datasets", [dataset]))


def keys_of_batch(loader: Any, epoch: int, batch: int) -> list[SampleKey] | None:
    """Return which samples a training loop has met in a batch; None for a loader that was not built here.

    The samplers are left at that epoch.

    Args:
        loader: The training loader.
        epoch: The epoch of the loop; 0 in a loop that counts iterations.
        batch: The batch of that epoch.
    """
    batch_sampler = getattr(loader, "batch_sampler", None)
    if not isinstance(batch_sampler, KeyedBatchSampler):
        return None
    if not batch_sampler.endless or batch_sampler.limit is not None:
        rounds, batch = divmod(batch, len(batch_sampler))  # a loop that counts iterations goes round after round
        epoch += rounds
    set_epoch(loader, epoch)
    batch_sampler.skip = batch
    return cast("list[SampleKey]", next(iter(batch_sampler)))


def restart_workers(loader: Any) -> None:
    """Have a loader's workers start anew at its next epoch, from the data set as it is by then.

    Persistent workers keep the data set that they were started with. Call this between epochs: batches that
    were read ahead are dropped.
    """
    iterator = getattr(loader, "_iterator", None)
    if iterator is not None:
        loader._iterator = None
        iterator._shutdown_workers()


def endless_batches(loader: DataLoader, start: int = 0) -> Iterator[Any]:
    """Iterate over batches epoch after epoch, from batch `start` of the whole run on."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    if isinstance(batch_sampler, KeyedBatchSampler) and batch_sampler.endless and batch_sampler.limit is None:
        yield from epoch_batches(loader, 0, start)
        return
    epoch, offset = divmod(start, len(loader)) if start else (0, 0)
    for now in itertools.count(epoch):
        empty = True
        for batch in epoch_batches(loader, now, offset):
            empty = False
            yield batch
        if empty and not offset:
            raise ValueError(
                "the training data loader has no batch: the data set is empty, or smaller than a batch with drop_last"
            )
        offset = 0

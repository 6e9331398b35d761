"""The order of samples is a function of (seed, epoch), and can be entered anywhere."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader

from visuite.engine.dataset import DefaultSampler, InfiniteSampler, KeyedBatchSampler, endless_batches, epoch_batches
from visuite.engine.dataset.sampler import permutation


def on_rank(sampler, rank: int, world: int):
    sampler.rank, sampler.world_size = rank, world
    return sampler


def test_an_epoch_is_a_permutation_that_depends_on_seed_and_epoch():
    sampler = DefaultSampler(range(50), seed=3)
    first = list(sampler)
    assert sorted(first) == list(range(50))
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(DefaultSampler(range(50), seed=4)) != first
    assert list(DefaultSampler(range(5), shuffle=False)) == [0, 1, 2, 3, 4]


@given(st.integers(1, 40), st.integers(1, 7), st.booleans())
def test_ranks_share_an_epoch(size, world, round_up):
    parts = [list(on_rank(DefaultSampler(range(size), seed=1, round_up=round_up), r, world)) for r in range(world)]
    lengths = [len(on_rank(DefaultSampler(range(size), seed=1, round_up=round_up), r, world)) for r in range(world)]
    assert [len(part) for part in parts] == lengths
    together = [index for part in parts for index in part]
    assert set(together) == set(range(size))
    if round_up:
        assert len(set(lengths)) == 1
    else:
        assert len(together) == size


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 40))
def test_the_endless_stream_can_be_entered_anywhere(size, world, start):
    for rank in range(world):
        whole = list(islice(on_rank(InfiniteSampler(range(size), seed=2), rank, world), start + 10))
        late = on_rank(InfiniteSampler(range(size), seed=2), rank, world)
        late.skip_to(start)
        part = list(islice(late, 10))
        assert part == whole[start:]
        assert [key.epoch for key in part] == [key.epoch for key in whole[start:]]


def test_the_endless_stream_goes_round_by_round_over_all_ranks():
    size, world = 7, 2
    streams = [list(islice(on_rank(InfiniteSampler(range(size), seed=2), r, world), 14)) for r in range(world)]
    merged = [index for pair in zip(*streams, strict=True) for index in pair]
    for round_ in range(4):
        assert merged[round_ * size : (round_ + 1) * size] == permutation(size, 2, round_)


def test_an_empty_data_set_has_no_stream():
    with pytest.raises(ValueError, match="at least one sample"):
        InfiniteSampler([])


def loader(size: int = 10, batch_size: int = 3, workers: int = 0, sampler=DefaultSampler) -> DataLoader:
    data = list(range(size))
    batches = KeyedBatchSampler(BatchSampler(sampler(data, seed=0), batch_size, drop_last=False), seed=0)
    return DataLoader(data, batch_sampler=batches, num_workers=workers, collate_fn=list)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_can_be_entered_at_any_batch(workers):
    whole = list(epoch_batches(loader(workers=workers), epoch=2))
    for start in range(4):
        assert list(epoch_batches(loader(workers=workers), epoch=2, start=start)) == whole[start:]
    again = loader()
    list(epoch_batches(again, 2, start=2))
    assert list(epoch_batches(again, 2)) == whole  # skipping is for one pass


@pytest.mark.parametrize("sampler", [DefaultSampler, InfiniteSampler])
@pytest.mark.parametrize("start", [0, 3, 4, 11])
def test_endless_batches_can_be_entered_anywhere(sampler, start):
    whole = list(islice(endless_batches(loader(sampler=sampler)), start + 6))
    assert list(islice(endless_batches(loader(sampler=sampler), start), 6)) == whole[start:]


@pytest.mark.parametrize("sampler", [DefaultSampler, InfiniteSampler])
def test_epochs_may_be_cut_short(sampler):
    short = loader(sampler=sampler)
    short.batch_sampler.limit = 2
    assert len(short) == 2
    epochs = [list(epoch_batches(short, epoch)) for epoch in range(3)]
    assert [len(batches) for batches in epochs] == [2, 2, 2]
    whole = [batch for batches in epochs for batch in batches]
    assert len({tuple(batch) for batch in whole}) == 6  # other samples every time
    for start in range(5):
        assert list(islice(endless_batches(short, start), 6 - start)) == whole[start:]
    if sampler is InfiniteSampler:
        assert whole == list(islice(endless_batches(loader(sampler=sampler)), 6))


class Pairs:
    """A batch sampler that keeps samples back: evens and odds come in batches of their own."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        waiting = ([], [])
        for index in self.sampler:
            group = waiting[index % 2]
            group.append(index)
            if len(group) == 2:
                yield list(group)
                group.clear()


def test_a_grouped_endless_stream_can_be_cut_into_epochs():
    def grouped(limit):
        data = list(range(10))
        batches = KeyedBatchSampler(Pairs(InfiniteSampler(data, seed=0)), seed=0, limit=limit)
        return DataLoader(data, batch_sampler=batches, collate_fn=list)

    whole = list(islice(endless_batches(grouped(None)), 9))
    assert [batch for epoch in range(3) for batch in epoch_batches(grouped(3), epoch)] == whole
    assert list(epoch_batches(grouped(3), 2, start=1)) == whole[7:]


def test_only_what_is_asked_for_is_read():
    read = []

    class Data:
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            read.append(int(index))
            return index

    data = Data()
    batches = KeyedBatchSampler(BatchSampler(DefaultSampler(data, seed=0), 10, drop_last=False), seed=0)
    late = epoch_batches(DataLoader(data, batch_sampler=batches, collate_fn=list), epoch=0, start=90)
    next(late)
    assert len(read) == 10


def test_a_foreign_loader_is_read_and_dropped():
    foreign = DataLoader(list(range(6)), batch_size=2, collate_fn=list)
    assert list(epoch_batches(foreign, 0, start=1)) == [[2, 3], [4, 5]]


def test_a_loader_without_batches_is_an_error():
    with pytest.raises(ValueError, match="no batch"):
        next(endless_batches(DataLoader([], batch_size=2)))

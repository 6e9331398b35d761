"""Batches of like shape, samples class by class, and sources in shares: exact from any position on."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice

import pytest
from torch.utils.data import BatchSampler

from visuite.det.datasets import (
    AspectRatioBatchSampler,
    ClassAwareSampler,
    GroupMultiSourceSampler,
    MultiSourceSampler,
)
from visuite.engine.dataset import DefaultSampler, InfiniteSampler, KeyedBatchSampler


class Records:
    """A data set of sizes and labels."""

    def __init__(self, sizes, labels=()):
        self.sizes = sizes
        self.labels = labels
        self.asked = []

    def __len__(self):
        return len(self.sizes)

    def get_data_info(self, index):
        self.asked.append(index)
        return dict(zip(("width", "height"), self.sizes[index], strict=True))

    def get_cat_ids(self, index):
        return self.labels[index]


SIZES = [(40, 30), (30, 40), (40, 30), (40, 40), (30, 40), (40, 30), (30, 50), (20, 30), (40, 20), (9, 8), (8, 9)]


def kind(index: int) -> bool:
    return SIZES[index][0] >= SIZES[index][1]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", range(1, len(SIZES) + 1))
def test_batches_are_of_one_kind_and_lose_nothing(size, drop_last):
    sampler = DefaultSampler(Records(SIZES[:size]), seed=3)
    grouped = AspectRatioBatchSampler(sampler, 3, drop_last)
    batches = list(grouped)
    assert len(grouped) == len(batches) == (size // 3 if drop_last else math.ceil(size / 3))
    drawn = [index for batch in batches for index in batch]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= set(range(size))
    if not drop_last:
        assert len(drawn) == size
    mixed = [batch for batch in batches if len({kind(index) for index in batch}) > 1]
    assert len(mixed) <= 2
    assert mixed == batches[len(batches) - len(mixed) :]  # only what is left over


def test_an_epoch_can_be_entered_at_any_batch():
    def keyed(data):
        return KeyedBatchSampler(AspectRatioBatchSampler(DefaultSampler(data, seed=0), 2), seed=0)

    whole = list(keyed(Records(SIZES)))
    for start in range(len(whole)):
        data = Records(SIZES)
        later = keyed(data)
        later.skip = start
        assert list(later) == whole[start:]
        assert sorted(data.asked) == list(range(len(SIZES)))  # each record is read once


def test_an_endless_stream_can_be_grouped_and_entered_anywhere():
    def keyed(start, limit=None, epoch=0):
        sampler = KeyedBatchSampler(AspectRatioBatchSampler(InfiniteSampler(Records(SIZES), seed=0), 3), 0, limit)
        sampler.skip, sampler.epoch = start, epoch
        return sampler

    whole = list(islice(keyed(0), 12))
    assert all(len({kind(index) for index in batch}) == 1 for batch in whole)
    assert list(islice(keyed(5), 7)) == whole[5:]
    assert list(keyed(1, limit=4, epoch=2)) == whole[9:]
    assert len({key.epoch for batch in whole for key in batch}) > 1


def test_bad_arguments():
    sampler = DefaultSampler(Records(SIZES), seed=0)
    with pytest.raises(TypeError, match="groups what a sampler gives, not list"):
        AspectRatioBatchSampler([1, 2], 2)
    with pytest.raises(ValueError, match="positive integer, not 0"):
        AspectRatioBatchSampler(sampler, 0)

    class Shapeless(Records):
        def get_data_info(self, index):
            return {"img_path": "a.jpg"}

    with pytest.raises(KeyError, match="record 0 of Shapeless tells no width and height"):
        list(AspectRatioBatchSampler(DefaultSampler(Shapeless(SIZES), shuffle=False), 2))


# ---------------------------------------------------------------------- class by class

LABELS = [[0], [0], [0, 0, 1], [0], [0], [0], [2, 1], [], [0], [0]]


@pytest.mark.parametrize("in_turn", [1, 2])
def test_every_class_comes_equally_often(in_turn):
    data = Records([(1, 1)] * 10 * 30, LABELS * 30)
    sampler = ClassAwareSampler(data, seed=1, num_sample_class=in_turn)
    turns = list(sampler)
    assert len(turns) == len(sampler) == 300
    assert not any(LABELS[index % 10] == [] for index in turns)
    # Image 6 is the only kind with class 2, images 2 and 6 the only ones with class 1.
    seen = Counter(index % 10 for index in turns)
    assert seen[6] > 100
    assert 130 < seen[2] + seen[6] < 230
    assert list(sampler) == turns
    sampler.set_epoch(1)
    assert list(sampler) != turns


def test_each_class_goes_round_its_own_images():
    data = Records([(1, 1)] * 6, [[0], [0], [0], [1], [1], [1]])
    order = list(ClassAwareSampler(data, seed=5))
    assert sorted(order) == list(range(6))
    assert all({index // 3 for index in order[start : start + 2]} == {0, 1} for start in (0, 2, 4))


def test_ranks_share_one_order(monkeypatch):
    data = Records([(1, 1)] * 7, [[0], [1], [2], [0], [1], [2], [0]])
    whole = list(ClassAwareSampler(data, seed=2))
    parts = []
    for rank in range(2):
        monkeypatch.setattr("visuite.det.datasets.samplers.class_aware.get_dist_info", lambda rank=rank: (rank, 2))
        parts.append(list(ClassAwareSampler(data, seed=2)))
    assert [len(part) for part in parts] == [4, 4]
    assert [index for pair in zip(*parts, strict=True) for index in pair][:7] == whole


def test_class_aware_faults():
    with pytest.raises(ValueError, match="no image has one"):
        ClassAwareSampler(Records([(1, 1)], [[]]))
    with pytest.raises(ValueError, match="positive integer"):
        ClassAwareSampler(Records([(1, 1)], [[0]]), num_sample_class=0)


# ---------------------------------------------------------------------- sources


class Joined(Records):
    cumulative_sizes = [4, 11]


@pytest.mark.parametrize("kind_of", [MultiSourceSampler, GroupMultiSourceSampler])
def test_shares_of_sources(kind_of):
    sampler = kind_of(Joined(SIZES), 5, source_ratio=[1, 4], seed=3)
    batches = [list(islice(iter(sampler), 5 * 60))[start : start + 5] for start in range(0, 300, 5)]
    assert all([index < 4 for index in batch] == [True] + [False] * 4 for batch in batches)
    if kind_of is GroupMultiSourceSampler:
        kinds = [{kind(index) for index in batch} for batch in batches]
        assert all(len(one) == 1 for one in kinds)
        assert 15 < sum(one == {True} for one in kinds) < 50  # 6 of 11 images
    seen = Counter(int(index) for batch in batches for index in batch)
    assert set(seen) == set(range(11))


@pytest.mark.parametrize("kind_of", [MultiSourceSampler, GroupMultiSourceSampler])
@pytest.mark.parametrize("start", [0, 1, 7, 250])
def test_sources_can_be_entered_anywhere(kind_of, start):
    def batches():
        return BatchSampler(kind_of(Joined(SIZES), 5, source_ratio=[2, 3], seed=3), 5, drop_last=False)

    whole = list(islice(KeyedBatchSampler(batches(), seed=3), start + 4))
    later = KeyedBatchSampler(batches(), seed=3)
    later.skip = start
    assert list(islice(later, 4)) == whole[start:]
    assert [[key.epoch for key in batch] for batch in whole[start:]] == [
        [key.epoch for key in batch] for batch in islice(_again(later, start), 4)
    ]


def _again(sampler, start):
    sampler.skip = start
    return iter(sampler)


def test_groups_are_the_same_beyond_a_chunk(monkeypatch):
    monkeypatch.setattr(GroupMultiSourceSampler, "_CHUNK", 4)
    sampler = GroupMultiSourceSampler(Joined(SIZES), 5, source_ratio=[2, 3], seed=3)
    whole = list(islice(iter(sampler), 5 * 20))
    for batch in (3, 4, 17, 2):
        sampler.skip_to(5 * batch)
        assert list(islice(iter(sampler), 5 * (20 - batch))) == whole[5 * batch :]


def test_source_faults():
    with pytest.raises(TypeError, match="parts of a ConcatDataset, not from a Records"):
        MultiSourceSampler(Records(SIZES), 5, source_ratio=[1, 4])
    with pytest.raises(ValueError, match="3 shares for 2 sources"):
        MultiSourceSampler(Joined(SIZES), 5, source_ratio=[1, 2, 2])
    with pytest.raises(ValueError, match=r"would give \[5, 0\]"):
        MultiSourceSampler(Joined(SIZES), 5, source_ratio=[99, 1])
    tall_then_wide = Joined([(1, 2)] * 4 + [(2, 1)] * 7)
    with pytest.raises(ValueError, match="no kind of image"):
        GroupMultiSourceSampler(tall_then_wide, 5, source_ratio=[1, 4])

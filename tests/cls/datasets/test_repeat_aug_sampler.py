"""Repeated augmentation."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from visuite.cls.datasets import RepeatAugSampler
from visuite.engine.dataset import sample_randomness
from visuite.engine.registry import DATA_SAMPLERS


def ranks(size: int, world: int, epoch: int = 0, **kwargs) -> list[list[int]]:
    made = []
    for rank in range(world):
        sampler = RepeatAugSampler(range(size), seed=5, **kwargs)
        sampler.rank, sampler.world_size = rank, world
        sampler.set_epoch(epoch)
        made.append(list(sampler))
        assert len(made[-1]) == len(sampler)
    return made


@pytest.mark.parametrize(("size", "world", "length"), [(1000, 4, 192), (1000, 3, 256), (256, 1, 256), (20, 3, 6)])
def test_versions_of_a_sample_go_to_neighbouring_ranks(size: int, world: int, length: int) -> None:
    by_rank = ranks(size, world)
    assert [len(one) for one in by_rank] == [length] * world
    dealt = [key for keys in zip(*by_rank, strict=True) for key in keys]
    whole = len(dealt) // 3 * 3
    for first in range(0, whole, 3):
        assert len(set(dealt[first : first + 3])) == 1
    assert set(Counter(dealt[:whole]).values()) == {3}
    if world == 3:
        assert by_rank[0] == by_rank[1] == by_rank[2]


def test_each_version_draws_its_own_and_each_epoch_too() -> None:
    drawn = {}
    for epoch in (0, 1):
        for repeat, keys in enumerate(ranks(30, 3, epoch, shuffle=False)):
            with sample_randomness(keys[0]) as index:
                assert index == 0
                drawn[epoch, repeat] = random.random()
    assert len(set(drawn.values())) == 6


def test_order() -> None:
    assert ranks(600, 1)[0] != ranks(600, 1, epoch=1)[0]
    assert ranks(600, 1)[0] == ranks(600, 1)[0]
    assert ranks(300, 1, shuffle=False)[0][:4] == [0, 0, 0, 1]
    with DATA_SAMPLERS.switch_scope_and_registry("cls") as registry:
        assert registry.get("RepeatAugSampler") is RepeatAugSampler

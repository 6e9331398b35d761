"""The randomness of a sample is a function of (seed, epoch, index)."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from visuite.engine.dataset import (
    BaseDataset,
    RepeatDataset,
    SampleError,
    SampleKey,
    SeededDataset,
    sample_randomness,
)
from visuite.engine.dataset.seeding import derived_randomness, fetch_samples, mix, seed_generators


class Draws(Dataset):
    """Each sample is what the three generators give."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[int, float, float, float]:
        return index, random.random(), float(np.random.rand()), float(torch.rand(()))


def test_a_sample_depends_on_its_key_alone():
    data = SeededDataset(Draws())
    first = data[SampleKey(3, seed=1, epoch=2)]
    for _ in range(5):
        data[SampleKey(4, seed=1, epoch=2)]
    assert data[SampleKey(3, seed=1, epoch=2)] == first
    others = [data[SampleKey(3, 1, 3)], data[SampleKey(3, 2, 2)], data[SampleKey(4, 1, 2)]]
    values = {sample[1:] for sample in [first, *others]}
    assert len(values) == 4


def test_the_generators_outside_are_left_alone():
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    expected = Draws()[0][1:]
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    SeededDataset(Draws())[SampleKey(1, 0, 0)]
    assert Draws()[0][1:] == expected


def test_they_are_left_alone_when_a_sample_fails_too():
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), sample_randomness(SampleKey(0, 0, 0)):
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), state)


def test_a_plain_index_draws_from_the_generators_as_they_stand():
    torch.manual_seed(5)
    expected = float(torch.rand(()))
    torch.manual_seed(5)
    with sample_randomness(7) as index:
        assert index == 7
        assert float(torch.rand(())) == expected


@given(st.integers(0, 2**40), st.integers(0, 2**31), st.integers(0, 10**6))
def test_keys_are_integers_that_survive_pickling(index, seed, epoch):
    key = pickle.loads(pickle.dumps(SampleKey(index, seed, epoch)))
    assert key == index
    assert (key.seed, key.epoch) == (seed, epoch)
    assert [*range(3)][SampleKey(1, 0, 0)] == 1


def test_mixing_separates_neighbours():
    values = {mix(seed, epoch, index) for seed in range(8) for epoch in range(8) for index in range(200)}
    assert len(values) == 8 * 8 * 200
    assert mix(1, 2) != mix(2, 1)
    bits = np.array([[mix(0, 0, i) >> b & 1 for b in range(64)] for i in range(2000)])
    assert np.abs(bits.mean(0) - 0.5).max() < 0.06


def test_a_wrapped_data_set_is_itself_in_everything_else():
    class Rich(Draws):
        classes = ("a", "b")

    inner = Rich()
    data = SeededDataset(inner)
    assert data.classes == ("a", "b")
    data.transform = "new"
    assert inner.transform == "new"
    assert len(pickle.loads(pickle.dumps(SeededDataset([1, 2, 3])))) == 3


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_a_derived_stream_does_not_move_the_outer_one_and_is_decided_by_it():
    def run(seed, inside):
        seed_generators(seed)
        with derived_randomness():
            found = [draws() for _ in range(inside)]
            with derived_randomness():
                nested = draws()
            found.append(nested)
        return found, draws()

    few, after_few = run(5, inside=1)
    many, after_many = run(5, inside=9)
    assert after_few == after_many
    assert few[0] == many[0]
    assert len({tuple(one) for one in (*many, after_many)}) == 11  # no two streams alike
    other, after_other = run(6, inside=1)
    assert other[0] != few[0]
    assert after_other != after_few


def test_a_derived_stream_that_ends_in_an_error_leaves_the_outer_one():
    def fail_inside():
        with derived_randomness():
            draws()
            raise ZeroDivisionError

    seed_generators(5)
    with derived_randomness():
        pass
    expected = draws()
    seed_generators(5)
    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert draws() == expected


class Failing(Draws):
    def __getitem__(self, index):
        return [][index]


class Records(BaseDataset):
    def load_data_list(self):
        return [{"number": number} for number in range(10)]


def drawn(record):
    return record["number"], *draws()


@pytest.mark.parametrize(
    "data",
    [SeededDataset(Draws()), Records(pipeline=[drawn]), RepeatDataset(Records(pipeline=[drawn]), times=1)],
    ids=lambda data: type(data).__name__,
)
def test_a_batch_is_its_samples_and_leaves_the_generators(data):
    keys = [SampleKey(index, 3, 1) for index in (4, 0, 7)]
    alone = [data[key] for key in keys]
    np.random.seed(0)
    np.random.randn()  # leaves a second number in hand
    before = np.random.get_state()
    torch.manual_seed(0)
    random.seed(0)
    expected = random.Random(0).random(), torch.rand((), generator=torch.Generator().manual_seed(0))
    assert data.__getitems__(keys) == alone
    assert str(np.random.get_state()) == str(before)
    assert (random.random(), torch.rand(())) == expected
    with pytest.raises(SampleError):
        fetch_samples(SeededDataset(Failing()), keys)
    assert data.__getitems__(keys) == alone  # a batch that failed leaves nothing behind
    seed_generators(1)
    one, other = data.__getitems__([2]), data.__getitems__([2])
    assert one != other  # plain numbers draw from the stream as it stands

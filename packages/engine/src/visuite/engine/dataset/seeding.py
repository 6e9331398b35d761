"""The randomness of a sample: a function of (seed, epoch, index), in whatever process it is made.

Samplers hand out `SampleKey`s, integers that also bear the seed and the epoch. The outermost
`__getitem__` of a data set opens `sample_randomness(key)`; inside, the global generators of `random`,
`numpy.random` and torch are that sample's own, so that a transform just draws from them. After it those of
the main process are what they were: loading there does not disturb the model's randomness.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.random.mtrand import get_bit_generator, set_bit_generator
from torch.utils.data import get_worker_info

from visuite.engine.dataset.naming import NamedSamples, naming


class SampleKey(int):
    """An index that bears the seed and the epoch which its sample's randomness comes from."""

    seed: int
    epoch: int

    def __new__(cls, index: int, seed: int, epoch: int) -> SampleKey:
        key = super().__new__(cls, index)
        key.seed, key.epoch = seed, epoch
        return key

    def __reduce__(self) -> tuple[Any, ...]:
        return SampleKey, (int(self), self.seed, self.epoch)

    def __repr__(self) -> str:
        return f"SampleKey({int(self)}, seed={self.seed}, epoch={self.epoch})"


def mix(*numbers: int) -> int:
    """Return 64 well-mixed bits of some integers (the finaliser of splitmix64 over a running sum)."""
    mask = (1 << 64) - 1
    state = 0
    for number in numbers:
        state = (state + (number & mask) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state


def seed_generators(seed: int) -> None:
    """Seed `random`, `numpy.random` and torch's CPU generator with 64 bits."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed & 0x7FFFFFFFFFFFFFFF)


@contextmanager
def kept_generators() -> Iterator[None]:
    """Leave the global CPU generators after the block as they were before it."""
    states = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.default_generator.set_state(states[2])


@contextmanager
def derived_randomness() -> Iterator[None]:
    """Inside the block the global generators are a stream of their own, which one draw from the current one decides.

    However much is drawn in the block, what comes after it stays the same.
    """
    seed = mix(int(np.random.randint(2**63 - 1, dtype=np.int64)))
    outer = random.getstate(), get_bit_generator(), torch.default_generator.get_state()
    # Copying NumPy's state takes ten times as long as putting another generator in its place. That drops the Gaussian
    # number which the outer stream may have in hand: always, so the stream stays a function of its seed.
    spare = _SPARES.pop() if _SPARES else np.random.MT19937()
    set_bit_generator(spare)
    seed_generators(seed)
    try:
        yield
    finally:
        random.setstate(outer[0])
        set_bit_generator(outer[1])
        torch.default_generator.set_state(outer[2])
        _SPARES.append(spare)


#: NumPy's generators that no block uses now; making one takes longer than most draws in a block.
_SPARES: list[np.random.MT19937] = []


@contextmanager
def sample_randomness(key: int) -> Iterator[int]:
    """Inside the block the global generators are those of one sample; yields the plain index.

    A plain integer opens nothing: a data set that is asked by hand, or by a wrapper that has opened
    the block already, draws from the generators as they stand.
    """
    if not isinstance(key, SampleKey):
        yield int(key)
        return
    # In a worker nothing but samples draws, and each begins with its own seed: there is nothing to keep.
    keeping = get_worker_info() is None and not _in_batch
    with kept_generators() if keeping else nullcontext():
        seed_generators(mix(key.seed, key.epoch, int(key)))
        yield int(key)


#: Whether the samples being made are those of a batch, after all of which the generators are put back.
_in_batch = False


def fetch_samples(dataset: Any, keys: Sequence[int]) -> list[Any]:
    """Return the samples of a batch, for a `__getitems__`: putting generators back once takes less than after each."""
    global _in_batch
    if _in_batch or not all(isinstance(key, SampleKey) for key in keys):
        return [dataset[key] for key in keys]
    with kept_generators() if get_worker_info() is None else nullcontext():
        _in_batch = True
        try:
            return [dataset[key] for key in keys]
        finally:
            _in_batch = False


class SeededDataset(NamedSamples):
    """Give a data set that knows nothing of sample keys (torchvision's, a list) its samples' own randomness.

    Everything but fetching samples is the data set's own.
    """

    def __getitem__(self, key: int) -> Any:
        """Return a sample.

        Raises:
            IndexError: there is no such sample.
            SampleError: the data set failed; names the sample.
        """
        with sample_randomness(key) as index:
            if not -len(self) <= index < len(self):
                raise IndexError(f"{type(self.dataset).__name__} has {len(self)} samples, there is no number {index}")
            with naming(self.dataset, index % len(self)):
                return self.dataset[index]

    def __getitems__(self, keys: Sequence[int]) -> list[Any]:
        """Return samples one by one, each with its own randomness, also where the data set could fetch a batch."""
        return fetch_samples(self, keys)


def worker_init_fn(
    worker_id: int, num_workers: int, rank: int, seed: int, disable_subprocess_warning: bool = False
) -> None:
    """Seed a loader's worker; what its samples draw does not depend on it (see `sample_randomness`)."""
    seed_generators(mix(seed, rank, worker_id))

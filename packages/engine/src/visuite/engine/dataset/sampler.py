"""In which order samples come: a function of (seed, epoch) alone, told to start anywhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sized

import torch
from torch.utils.data import Sampler

from visuite.engine.dataset.seeding import SampleKey, mix
from visuite.engine.dist import get_dist_info, sync_random_seed
from visuite.engine.registry import DATA_SAMPLERS


def permutation(size: int, seed: int, epoch: int) -> list[int]:
    """Return the shuffled indices of one epoch."""
    generator = torch.Generator()
    generator.manual_seed(mix(seed, epoch) & 0x7FFFFFFFFFFFFFFF)
    return torch.randperm(size, generator=generator).tolist()


@DATA_SAMPLERS.register_module()
class DefaultSampler(Sampler[int]):
    """Every sample once an epoch, dealt out to the ranks in turn.

    Args:
        dataset: Anything with a length.
        shuffle: Shuffle anew each epoch.
        seed: The same on all ranks; drawn and shared when None.
        round_up: Repeat the first samples so that all ranks get equally many.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None, round_up: bool = True) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.round_up = round_up

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        indices = permutation(size, self.seed, self.epoch) if self.shuffle else list(range(size))
        if self.round_up:
            indices = list(itertools.islice(itertools.cycle(indices), len(self) * self.world_size))
        return iter(indices[self.rank :: self.world_size])

    def __len__(self) -> int:
        left = len(self.dataset) - (0 if self.round_up else self.rank)
        return max(0, math.ceil(left / self.world_size))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch


class EndlessSampler(Sampler[int]):
    """A stream of samples without an end of its own, told where to begin; it has rounds, not epochs."""

    start = 0

    def skip_to(self, sample: int) -> None:
        """Start the next iteration at this rank's `sample`-th sample, without drawing those before it."""
        self.start = sample

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the stream goes on where it is told to."""


@DATA_SAMPLERS.register_module()
class InfiniteSampler(EndlessSampler):
    """Round after round of all samples, without an end; round k's order is a function of (seed, k).

    Args:
        dataset: Anything with a length.
        shuffle: Shuffle every round.
        seed: The same on all ranks; drawn and shared when None.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        if not len(dataset):
            raise ValueError("InfiniteSampler needs at least one sample")
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.size = len(dataset)
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed

    def __iter__(self) -> Iterator[int]:
        start, self.start = self.start, 0
        position = start * self.world_size + self.rank
        order, order_of = [], -1
        while True:
            round_, offset = divmod(position, self.size)
            if round_ != order_of:
                order = permutation(self.size, self.seed, round_) if self.shuffle else list(range(self.size))
                order_of = round_
            yield SampleKey(order[offset], self.seed, round_)
            position += self.world_size

    def __len__(self) -> int:
        return math.ceil(self.size / self.world_size)

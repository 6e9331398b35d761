"""Samples drawn class by class."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from visuite.det.registry import DATA_SAMPLERS
from visuite.engine.dataset.seeding import mix
from visuite.engine.dist import get_dist_info, sync_random_seed


@DATA_SAMPLERS.register_module()
class ClassAwareSampler(Sampler[int]):
    """Every class equally often, arXiv:1512.05830: a list of the classes, and one of each class's images.

    The next class of its list gives the next `num_sample_class` images of its own; a list that has come to its end is
    shuffled anew. Images without objects never come. The order is a function of (seed, epoch).

    Args:
        dataset: A data set with `get_cat_ids(index)`.
        seed: The same on all ranks; drawn and shared when None.
        num_sample_class: How many images a class gives in its turn.

    Raises:
        ValueError: `num_sample_class` is not positive, or no image has an object.
    """

    def __init__(self, dataset: Any, seed: int | None = None, *, num_sample_class: int = 1) -> None:
        if not isinstance(num_sample_class, int) or num_sample_class < 1:
            raise ValueError(f"num_sample_class is a positive integer, not {num_sample_class!r}")
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.seed = sync_random_seed() if seed is None else seed
        self.num_sample_class = num_sample_class
        self.epoch = 0
        self.images = self._images_of_classes()

    def __iter__(self) -> Iterator[int]:
        stream = itertools.islice(self._stream(), len(self) * self.world_size)
        return itertools.islice(stream, self.rank, None, self.world_size)

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def _stream(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch) & 0x7FFFFFFFFFFFFFFF)
        images = {label: _shuffled_rounds(found, generator) for label, found in self.images.items()}
        for label in _shuffled_rounds(list(self.images), generator):
            yield from itertools.islice(images[label], self.num_sample_class)

    def _images_of_classes(self) -> dict[int, list[int]]:
        images: defaultdict[int, list[int]] = defaultdict(list)
        for index in range(len(self.dataset)):
            for label in set(self.dataset.get_cat_ids(index)):
                images[label].append(index)
        if not images:
            raise ValueError("ClassAwareSampler needs images with objects, and no image has one")
        return {label: images[label] for label in sorted(images)}


def _shuffled_rounds(items: Sequence[int], generator: torch.Generator) -> Iterator[int]:
    """Go through items again and again, each time in another order."""
    while True:
        for place in torch.randperm(len(items), generator=generator).tolist():
            yield items[place]

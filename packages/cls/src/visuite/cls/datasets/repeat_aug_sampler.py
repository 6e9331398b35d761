"""Several augmented versions of a sample at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sized

from torch.utils.data import Sampler

from visuite.cls.registry import DATA_SAMPLERS
from visuite.engine.dataset import SampleKey, permutation
from visuite.engine.dataset.seeding import mix
from visuite.engine.dist import get_dist_info, sync_random_seed

#: An epoch is cut to whole batches of this many samples on all ranks, as published schedules count on.
_ROUND = 256


@DATA_SAMPLERS.register_module()
class RepeatAugSampler(Sampler[int]):
    """Each sample three times in a row, dealt out to the ranks, each time augmented anew.

    An epoch is as long as without repeating, so it sees a third of the samples (Hoffer et al., arXiv:1901.09335;
    Touvron et al., arXiv:2012.12877).

    Args:
        dataset: Anything with a length.
        shuffle: Shuffle anew each epoch.
        seed: The same on all ranks; drawn and shared when None.
        round_up: Accepted as of other samplers; all ranks get equally many in any case.
        num_repeats: How often each sample comes.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        *,
        round_up: bool = True,
        num_repeats: int = 3,
    ) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.num_repeats = num_repeats
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = permutation(size, self.seed, self.epoch) if self.shuffle else range(size)
        keys = (self._key(index, repeat) for index in order for repeat in range(self.num_repeats))
        return itertools.islice(keys, self.rank, len(self) * self.world_size, self.world_size)

    def __len__(self) -> int:
        size = len(self.dataset)
        return (size // _ROUND * _ROUND or size) // self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def _key(self, index: int, repeat: int) -> SampleKey:
        """Return a key whose randomness is another for each repeat."""
        return SampleKey(index, mix(self.seed, repeat) if repeat else self.seed, self.epoch)

"""Samples made of several: Mosaic, MixUp, copy-paste."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from visuite.engine.dataset.compose import Compose, name_of
from visuite.engine.dataset.naming import SampleError, naming
from visuite.engine.dataset.seeding import sample_randomness
from visuite.engine.dataset.wrappers import DatasetWrapper
from visuite.engine.registry import DATASETS, TRANSFORMS


@DATASETS.register_module()
class MultiImageMixDataset(DatasetWrapper):
    """A data set whose samples are mixed with others.

    A transform with `get_indexes(dataset)`, also called `get_indices`, gets the samples of these indexes as
    `results['mix_results']`. It draws them from the sample's own randomness, so that which images meet depends neither
    on workers nor on where a run resumed.

    A transform that returns None is tried again on the sample as it was. One that mixes gets a copy of everything for
    that, the others share the arrays with what is kept: they put new ones into the sample, and write to none.

    Args:
        dataset: The data set to mix, or its config. Its pipeline ends before packing.
        pipeline: Transforms, configs or callables.
        skip_type_keys: Names of transforms that are left out.
        max_refetch: How often a transform that returns None is tried again, with other partners.
        lazy_init: Read the annotations when first used.

    Raises:
        TypeError: the keys are no sequence of names.
        SampleError: a transform returned None all the time.
    """

    def __init__(
        self,
        dataset: Any,
        pipeline: Sequence[Any] = (),
        *,
        skip_type_keys: Sequence[str] | None = None,
        max_refetch: int = 15,
        lazy_init: bool = False,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.pipeline = Compose(pipeline)
        self.max_refetch = max_refetch
        self._skipped: set[str] = set()
        self.update_skip_type_keys(skip_type_keys)
        self._metainfo = self.dataset.metainfo
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the annotations."""
        self.dataset.full_init()
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = True

    def update_skip_type_keys(self, skip_type_keys: Sequence[str] | None) -> None:
        """Choose which transforms are left out from now on; workers that run already keep the old choice."""
        keys = skip_type_keys or ()
        if isinstance(keys, str) or not all(isinstance(key, str) for key in keys):
            raise TypeError(f"skip_type_keys are names of transforms, not {skip_type_keys!r}")
        with TRANSFORMS.switch_scope_and_registry(None) as registry:
            found = [registry.get(key) for key in keys]
        self._skipped = {*keys, *(one.__name__ for one in found if one is not None)}

    def __len__(self) -> int:
        self.full_init()
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        """Return a mixed sample; a `SampleKey` gives it its own randomness."""
        with sample_randomness(idx) as index:
            index = self._checked(index)
            with naming(self, index):
                results = self.dataset[index]
                for transform in self._used():
                    results = self._apply(transform, results)
                return results

    def _used(self) -> Iterator[Any]:
        return (one for one in self.pipeline if name_of(one) not in self._skipped)

    def _apply(self, transform: Any, results: dict[str, Any]) -> Any:
        """Run one transform, again with other partners while it returns None."""
        for _ in range(self.max_refetch):
            choose = getattr(transform, "get_indexes", None) or getattr(transform, "get_indices", None)
            given = _own_containers(results) if choose is None else copy.deepcopy(results)
            if choose is not None:
                given["mix_results"] = self._partners(choose)
            try:
                changed = transform(given)
            except Exception as error:
                error.add_note(f"in {name_of(transform)}")
                raise
            if changed is not None:
                changed.pop("mix_results", None)
                return changed
        raise SampleError(f"{name_of(transform)} returned None {self.max_refetch} times in a row; check its arguments")

    def _partners(self, choose: Callable[[Any], Any]) -> list[Any]:
        """Return the samples that a transform mixes in."""
        indexes = choose(self.dataset)
        chosen = indexes if isinstance(indexes, Sequence) else [indexes]
        return [self.dataset[int(index)] for index in chosen]

    def _locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, idx


def _own_containers(value: Any) -> Any:
    """Return a copy of dicts and lists inside each other, holding the very same arrays and other values."""
    if type(value) is dict:
        return {key: _own_containers(one) for key, one in value.items()}
    return [_own_containers(one) for one in value] if type(value) is list else value

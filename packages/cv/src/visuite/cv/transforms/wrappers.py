"""Transforms made of transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.engine.dataset import Compose
from visuite.engine.dataset.seeding import kept_generators
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS

Transform = Mapping[str, Any] | Callable[..., Any]
Transforms = Transform | Sequence[Transform] | None
#: What stands where a key is missing, or shall be left alone.
_NOTHING: Any = ...


@TRANSFORMS.register_module()
class KeyMapper(BaseTransform):
    """Run transforms on other keys than theirs.

        KeyMapper(mapping={'img': 'gt'}, auto_remap=True, transforms=[Resize(...)])     resizes results['gt']

    Args:
        transforms: One or several.
        mapping: For each key that the transforms see, the sample's key; lists and dicts of keys gather several, and
            `...` hides a key.
        remapping: For each key of theirs, the sample's key that its new value goes to; the other way of `mapping`.
            Keys that are not named stay as they were.
        auto_remap: Put values back where they came from, by `mapping`. By default so unless `remapping` is given.
        allow_nonexist_keys: Hide keys that the sample lacks, instead of stopping.

    Raises:
        ValueError: `auto_remap` without `mapping`, or with `remapping`.
        KeyError: the sample lacks a key.
    """

    def __init__(
        self,
        transforms: Transforms = None,
        mapping: Mapping[str, Any] | None = None,
        *,
        remapping: Mapping[str, Any] | None = None,
        auto_remap: bool | None = None,
        allow_nonexist_keys: bool = False,
    ) -> None:
        if auto_remap and (remapping is not None or mapping is None):
            raise ValueError("auto_remap goes back the way of mapping: it needs one, and takes no remapping")
        back = remapping is None and mapping is not None if auto_remap is None else auto_remap
        self.transforms = as_pipeline(transforms)
        self.mapping = mapping
        self.remapping = mapping if back else remapping
        self.allow_nonexist_keys = allow_nonexist_keys

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Map the keys, run the transforms, and map back."""
        inner = self.transforms(self.map_input(results))
        return None if inner is None else self.map_output(results, inner)

    def map_input(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return what the transforms see."""
        inner = dict(results)
        for key, source in (self.mapping or {}).items():
            value = self._gather(results, source)
            if value is _NOTHING:
                inner.pop(key, None)
            else:
                inner[key] = value
        return inner

    def map_output(self, results: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
        """Put what the transforms made into the sample."""
        if self.remapping is None:
            results.update(inner)
            return results
        for key, target in self.remapping.items():
            if key in inner:
                self._scatter(inner[key], target, results)
            elif not self.allow_nonexist_keys and target is not _NOTHING:
                raise KeyError(f"the transforms inside {type(self).__name__} leave no {key!r}, only {sorted(inner)}")
        return results

    def _gather(self, results: Mapping[str, Any], source: Any) -> Any:
        """Return the values of a key, or of lists and dicts of keys; what is missing is left out of these."""
        if isinstance(source, Mapping):
            values = {name: self._gather(results, one) for name, one in source.items()}
            return {name: value for name, value in values.items() if value is not _NOTHING}
        if isinstance(source, (list, tuple)):
            found = [self._gather(results, one) for one in source]
            return type(source)(value for value in found if value is not _NOTHING)
        if source is _NOTHING or (source not in results and self.allow_nonexist_keys):
            return _NOTHING
        if source not in results:
            raise KeyError(f"{type(self).__name__} finds no {source!r}, only {sorted(results)}")
        return results[source]

    def _scatter(self, value: Any, target: Any, results: dict[str, Any]) -> None:
        """Put a value, or values that were gathered, to where they belong."""
        if target is _NOTHING:
            return
        if isinstance(target, Mapping):
            for name, one in target.items():
                if name in value:
                    self._scatter(value[name], one, results)
        elif isinstance(target, (list, tuple)):
            kept = [one for one in target if not self._was_left_out(one, results)]
            if len(kept) != len(value):
                raise ValueError(f"{type(self).__name__}: {len(value)} values for the keys {kept}")
            for one, part in zip(kept, value, strict=True):
                self._scatter(part, one, results)
        else:
            results[target] = value

    def _was_left_out(self, target: Any, results: Mapping[str, Any]) -> bool:
        """Whether `_gather` found nothing here, on the way of `mapping`."""
        if target is _NOTHING:
            return True
        there_and_back = self.remapping is self.mapping and self.allow_nonexist_keys
        return there_and_back and isinstance(target, str) and target not in results


@TRANSFORMS.register_module()
class TransformBroadcaster(KeyMapper):
    """Run transforms on each of several values in turn.

        TransformBroadcaster(mapping={'img': ['lq', 'gt']}, auto_remap=True, transforms=[...])     one after the other
        TransformBroadcaster(mapping={'img': 'images'}, auto_remap=True, transforms=[...])         each of a list

    Args:
        transforms: One or several.
        mapping: For each key that the transforms see, a list of the sample's keys, or a key that holds a list.
        remapping: As of `KeyMapper`.
        auto_remap: As of `KeyMapper`.
        allow_nonexist_keys: As of `KeyMapper`.
        share_random_params: Give each value the same random numbers.

    Raises:
        ValueError: the mapped values are no lists of one length.
    """

    def __init__(
        self,
        transforms: Transforms,
        mapping: Mapping[str, Any] | None = None,
        *,
        remapping: Mapping[str, Any] | None = None,
        auto_remap: bool | None = None,
        allow_nonexist_keys: bool = False,
        share_random_params: bool = False,
    ) -> None:
        super().__init__(
            transforms, mapping, remapping=remapping, auto_remap=auto_remap, allow_nonexist_keys=allow_nonexist_keys
        )
        self.share_random_params = share_random_params

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Split, run the transforms on each part, and join."""
        parts = self._split(self.map_input(results))
        ran = [self._run(part, last=part is parts[-1]) for part in parts]
        done = [one for one in ran if one is not None]
        if len(done) < len(ran):
            return None
        keys = dict.fromkeys(key for one in done for key in one)
        return self.map_output(results, {key: [one[key] for one in done if key in one] for key in keys})

    def _split(self, inner: dict[str, Any]) -> list[dict[str, Any]]:
        """Return one dict for each of the values."""
        mapped = [key for key in (self.mapping if self.mapping is not None else inner) if key in inner]
        if not mapped:
            raise ValueError(f"TransformBroadcaster has nothing to go through: none of {list(self.mapping or ())}")
        loose = [key for key in mapped if not isinstance(inner[key], (list, tuple))]
        if loose:
            raise ValueError(f"TransformBroadcaster goes through lists; {loose[0]!r} is a {type(inner[loose[0]])}")
        lengths = {key: len(inner[key]) for key in mapped}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"TransformBroadcaster goes through lists of one length, not {lengths}")
        return [{**inner, **{key: inner[key][i] for key in mapped}} for i in range(lengths[mapped[0]])]

    def _run(self, part: dict[str, Any], last: bool) -> dict[str, Any] | None:
        if not self.share_random_params or last:
            return self.transforms(part)
        with kept_generators():  # so that the next part draws the same
            return self.transforms(part)


@TRANSFORMS.register_module()
class RandomChoice(RandomTransform):
    """Run one of several pipelines.

    Args:
        transforms: Each a transform or a list of them.
        prob: The chance of each; by default all are equally likely.

    Raises:
        ValueError: the chances are not one for each, or not 1 in all.
    """

    def __init__(self, transforms: Sequence[Any], prob: Sequence[float] | None = None) -> None:
        if prob is not None and (len(prob) != len(transforms) or min(prob) < 0 or abs(sum(prob) - 1) > 1e-6):
            raise ValueError(f"prob {prob}: one chance for each of {len(transforms)} pipelines, and 1 in all")
        self.transforms = [as_pipeline(one) for one in transforms]
        self.prob = prob

    def draw(self, results: dict[str, Any]) -> int:
        """Return the number of a pipeline."""
        return int(np.random.choice(len(self.transforms), p=self.prob))

    def apply(self, results: dict[str, Any], drawn: int) -> dict[str, Any] | None:
        """Run the pipeline of this number."""
        return self.transforms[drawn](results)


@TRANSFORMS.register_module()
class RandomApply(RandomTransform):
    """Run transforms with some chance, all or none.

    Args:
        transforms: One or several.
        prob: The chance.
    """

    def __init__(self, transforms: Transforms, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob {prob} is no chance: it must lie between 0 and 1")
        self.transforms = as_pipeline(transforms)
        self.prob = prob

    def draw(self, results: dict[str, Any]) -> bool:
        """Return whether to run them."""
        return np.random.random() < self.prob

    def apply(self, results: dict[str, Any], drawn: bool) -> dict[str, Any] | None:
        """Run them, or not."""
        return self.transforms(results) if drawn else results


def as_pipeline(transforms: Transforms) -> Compose:
    """Return one transform or several as a pipeline."""
    if transforms is None or isinstance(transforms, (list, tuple)):
        return Compose(transforms)
    return Compose([transforms])  # type: ignore[list-item]

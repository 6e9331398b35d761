"""Several versions of one image, whose predictions are merged."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from visuite.cv.transforms.wrappers import as_pipeline
from visuite.engine.dataset import Compose
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TestTimeAug(BaseTransform):
    """Run every combination of transforms, one of each list; each key of the result holds the list of versions.

        TestTimeAug([[Resize(a), Resize(b)], [RandomFlip(0.), RandomFlip(1.)], [PackInputs()]])     four versions

    Args:
        transforms: Lists of transforms, done in the order of the lists.

    Raises:
        ValueError: a list is empty.
    """

    __test__: ClassVar[bool] = False  # for pytest, whom the name would mislead

    def __init__(self, transforms: Sequence[Any]) -> None:
        choices = [list(one) if isinstance(one, (list, tuple)) else [one] for one in transforms]
        if not choices or not all(choices):
            raise ValueError("TestTimeAug takes lists of transforms, none of them empty")
        self.subroutines = [Compose(one) for one in itertools.product(*choices)]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `{key: [value of each version]}`."""
        return joined([version(copy.deepcopy(results)) for version in self.subroutines])


@TRANSFORMS.register_module()
class MultiScaleFlipAug(BaseTransform):
    """Resize to several scales, flip in several directions, and run transforms on each version.

    Args:
        transforms: What is done to each version after resizing and flipping.
        scales: Scales (w, h), one or several.
        scale_factor: In place of `scales`: factors, one or several.
        allow_flip: Add flipped versions.
        flip_direction: Of these, one or several.
        resize_cfg: The transform that resizes, without its scale.
        flip_cfg: The transform that flips, without its chance and direction.

    Raises:
        ValueError: both or none of `scales` and `scale_factor`.
    """

    def __init__(
        self,
        transforms: Sequence[Any],
        scales: Any = None,
        *,
        scale_factor: float | Sequence[float] | None = None,
        allow_flip: bool = False,
        flip_direction: str | Sequence[str] = "horizontal",
        resize_cfg: Mapping[str, Any] = {"type": "Resize", "keep_ratio": True},
        flip_cfg: Mapping[str, Any] = {"type": "RandomFlip"},
    ) -> None:
        if (scales is None) == (scale_factor is None):
            raise ValueError("MultiScaleFlipAug needs either scales or scale_factor")
        name = "scale" if scales is not None else "scale_factor"
        given = scales if scales is not None else scale_factor
        sizes = list(given) if isinstance(given, list) else [given]
        directions = [flip_direction] if isinstance(flip_direction, str) else list(flip_direction)
        flips = [{**flip_cfg, "prob": 0.0}]
        if allow_flip:
            flips += [{**flip_cfg, "prob": 1.0, "direction": one} for one in directions]
        self.transforms = as_pipeline(transforms)
        self.versions = [
            Compose([{**resize_cfg, name: size}, flip, self.transforms]) for size in sizes for flip in flips
        ]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `{key: [value of each version]}`."""
        return joined([version(copy.deepcopy(results)) for version in self.versions])


def joined(versions: Sequence[dict[str, Any] | None]) -> dict[str, list[Any]]:
    """Return the values of several dicts by key.

    Raises:
        ValueError: a version was dropped, or their keys differ.
    """
    kept = [one for one in versions if one is not None]
    if len(kept) < len(versions):
        raise ValueError("a transform dropped one version of the image, but all are needed")
    if any(one.keys() != kept[0].keys() for one in kept):
        raise ValueError(f"the versions of the image have different keys: {[sorted(one) for one in kept]}")
    return {key: [one[key] for one in kept] for key in kept[0]}

"""Automatic augmentation: policies of transforms, of which chance takes some for each image."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.augment import AugmentTransform
from visuite.cv.transforms.augment_colour import (
    AutoContrast,
    Brightness,
    ColorTransform,
    Contrast,
    Equalize,
    Invert,
    Posterize,
    Sharpness,
    Solarize,
    SolarizeAdd,
)
from visuite.cv.transforms.augment_geometry import Rotate, Shear, Translate
from visuite.cv.transforms.base import RandomTransform
from visuite.engine.dataset import Compose
from visuite.engine.registry import TRANSFORMS
from visuite.engine.utils.text import did_you_mean

# Policies that go by a name hold classes, as other scopes have other transforms of these names.
#: The strengths of RandAugment that grow with the level: the transform, the range, further arguments.
_INCREASING: tuple[tuple[type[AugmentTransform], tuple[float, float] | None, dict[str, Any]], ...] = (
    (AutoContrast, None, {}),
    (Equalize, None, {}),
    (Invert, None, {}),
    (Rotate, (0, 30), {}),
    (Posterize, (4, 0), {}),
    (Solarize, (256, 0), {}),
    (SolarizeAdd, (0, 110), {}),
    (ColorTransform, (0, 0.9), {}),
    (Contrast, (0, 0.9), {}),
    (Brightness, (0, 0.9), {}),
    (Sharpness, (0, 0.9), {}),
    (Shear, (0, 0.3), {"direction": "horizontal"}),
    (Shear, (0, 0.3), {"direction": "vertical"}),
    (Translate, (0, 0.45), {"direction": "horizontal"}),
    (Translate, (0, 0.45), {"direction": "vertical"}),
)

#: The policies found on ImageNet: twice a transform, its chance and its level from 0 to 9.
#: Cubuk et al., AutoAugment, 2019, table 9.
_IMAGENET = """
    Posterize 0.4 8    Rotate 0.6 9          Solarize 0.6 5     AutoContrast 0.6 5
    Equalize 0.8 8     Equalize 0.6 3        Posterize 0.6 7    Posterize 0.6 6
    Equalize 0.4 7     Solarize 0.2 4        Equalize 0.4 4     Rotate 0.8 8
    Solarize 0.6 3     Equalize 0.6 7        Posterize 0.8 5    Equalize 1.0 2
    Rotate 0.2 3       Solarize 0.6 8        Equalize 0.6 8     Posterize 0.4 6
    Rotate 0.8 8       ColorTransform 0.4 0  Rotate 0.4 9       Equalize 0.6 2
    Equalize 0.0 7     Equalize 0.8 8        Invert 0.6 4       Equalize 1.0 8
    ColorTransform 0.6 4  Contrast 1.0 8     Rotate 0.8 8       ColorTransform 1.0 2
    ColorTransform 0.8 8  Solarize 0.8 7     Sharpness 0.4 7    Invert 0.6 8
    Shear 0.6 5        Equalize 1.0 9        ColorTransform 0.4 0  Equalize 0.6 3
    Equalize 0.4 7     Solarize 0.2 4        Solarize 0.6 5     AutoContrast 0.6 5
    Invert 0.6 4       Equalize 1.0 8        ColorTransform 0.6 4  Contrast 1.0 8
    Equalize 0.8 8     Equalize 0.6 3
"""
#: Level 0 and level 9 of the transforms in those policies.
_IMAGENET_RANGES: dict[type[AugmentTransform], tuple[float, float]] = {
    Posterize: (8, 4),
    Rotate: (0, 30),
    Solarize: (256, 0),
    ColorTransform: (0, 0.9),
    Contrast: (0, 0.9),
    Sharpness: (0, 0.9),
    Shear: (0, 0.3),
}
_DEFAULT_HPARAMS = {"pad_val": 128}


@TRANSFORMS.register_module()
class AutoAugment(RandomTransform):
    """Take one policy for each image, and do its transforms in turn. Cubuk et al., AutoAugment, 2019.

    Args:
        policies: Each a list of transforms; or 'imagenet', the policies that were found there.
        hparams: Arguments for the transforms that have them and do not set them: `pad_val`, `interpolation`.

    Raises:
        ValueError: no policy, or an unknown name.
    """

    def __init__(self, policies: str | Sequence[Sequence[Any]], hparams: Mapping[str, Any] | None = None) -> None:
        found = _named(policies, {"imagenet": imagenet_policies})
        hparams = _DEFAULT_HPARAMS if hparams is None else hparams
        self.transforms = [Compose([_with(one, hparams) for one in policy]) for policy in found]

    def draw(self, results: dict[str, Any]) -> int:
        """Return the number of a policy."""
        return int(np.random.randint(len(self.transforms)))

    def apply(self, results: dict[str, Any], drawn: int) -> dict[str, Any] | None:
        """Do the transforms of a policy; each draws for itself whether it acts."""
        return self.transforms[drawn](results)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.transforms)} policies)"


@TRANSFORMS.register_module()
class RandAugment(RandomTransform):
    """Do some transforms of a list, all at one level. Cubuk et al., RandAugment, 2020.

    Args:
        policies: Transforms, with `magnitude_range` where they have strengths; or 'timm_increasing', whose strengths
            grow with the level.
        num_policies: How many for each image; one may come twice.
        magnitude_level: The level.
        magnitude_std: Deviation of the noise on it, or 'inf': anything up to the level.
        total_level: The highest level.
        hparams: Arguments for the transforms that have them and do not set them: `pad_val`, `interpolation`.

    Raises:
        ValueError: no transform, an unknown name, or a level outside its range.
    """

    def __init__(
        self,
        policies: str | Sequence[Any],
        num_policies: int,
        *,
        magnitude_level: float,
        magnitude_std: float | str = 0.0,
        total_level: float = 10,
        hparams: Mapping[str, Any] | None = None,
    ) -> None:
        if num_policies <= 0 or not 0 <= magnitude_level <= total_level:
            raise ValueError(
                f"RandAugment does at least one policy at a level from 0 to {total_level}, "
                f"not {num_policies} at {magnitude_level}"
            )
        level = {"magnitude_level": magnitude_level, "magnitude_std": magnitude_std, "total_level": total_level}
        hparams = _DEFAULT_HPARAMS if hparams is None else hparams
        found = _named(policies, {"timm_increasing": increasing_policies})
        levelled = [{**level, **one} if isinstance(one, Mapping) and "magnitude_range" in one else one for one in found]
        self.num_policies = num_policies
        self.transforms = list(Compose([_with(one, hparams) for one in levelled]))

    def draw(self, results: dict[str, Any]) -> list[int]:
        """Return the numbers of the transforms."""
        return np.random.randint(len(self.transforms), size=self.num_policies).tolist()

    def apply(self, results: dict[str, Any], drawn: Sequence[int]) -> dict[str, Any] | None:
        """Do the transforms; each draws for itself whether it acts."""
        return Compose([self.transforms[one] for one in drawn])(results)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_policies} of {len(self.transforms)} transforms)"


def increasing_policies() -> list[dict[str, Any]]:
    """Return the transforms of RandAugment whose strengths grow with the level."""
    return [
        {"type": kind, **({} if ends is None else {"magnitude_range": ends}), **further}
        for kind, ends, further in _INCREASING
    ]


def imagenet_policies() -> list[list[dict[str, Any]]]:
    """Return the 25 policies that AutoAugment found on ImageNet."""
    words = _IMAGENET.split()
    steps = [_step(*words[i : i + 3]) for i in range(0, len(words), 3)]
    return [steps[i : i + 2] for i in range(0, len(steps), 2)]


def _step(name: str, prob: str, level: str) -> dict[str, Any]:
    kind = next(one for one, _, _ in _INCREASING if one.__name__ == name)
    step: dict[str, Any] = {"type": kind, "prob": float(prob)}
    if kind not in _IMAGENET_RANGES:
        return step
    ends = _IMAGENET_RANGES[kind]
    if kind is Posterize:  # whole bits, rounded where the search rounded them
        return {**step, "bits": round(ends[0] + (ends[1] - ends[0]) * int(level) / 9)}
    return {**step, "magnitude_range": ends, "magnitude_level": int(level), "total_level": 9}


def _named(policies: Any, known: Mapping[str, Any]) -> list[Any]:
    """Return policies that were given by name or in full."""
    if isinstance(policies, str):
        if policies not in known:
            raise ValueError(f"no policies are named {policies!r}, only {list(known)}{did_you_mean(policies, known)}")
        return known[policies]()
    if not policies:
        raise ValueError("automatic augmentation needs at least one policy")
    return copy.deepcopy(list(policies))


def _with(step: Any, hparams: Mapping[str, Any]) -> Any:
    """Return a transform's config with those of the shared arguments that the transform has."""
    if not isinstance(step, Mapping):
        return step
    kind = TRANSFORMS.get(step["type"]) if isinstance(step.get("type"), str) else step.get("type")
    if kind is None:  # building it says what is wrong
        return step
    accepted = inspect.signature(kind).parameters
    return {**{key: value for key, value in hparams.items() if key in accepted}, **step}

"""Automatic augmentation for detection: policies of transforms, of which chance takes some for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms import RandomTransform
from visuite.cv.transforms.wrappers import as_pipeline
from visuite.det.registry import TRANSFORMS

Policy = Sequence[dict[str, Any]]


def learned_policies() -> list[Policy]:
    """Return the five policies that were found on COCO (v0), with moves that concern whole images.

    Zoph et al., Learning Data Augmentation Strategies for Object Detection, arXiv:1906.11172, table 7.
    """
    return [
        [dict(type="TranslateX", prob=0.6, level=4), dict(type="Equalize", prob=0.8)],
        [dict(type="TranslateY", prob=0.2, level=2), dict(type="Cutout", prob=0.8, shape=48)],
        [dict(type="Sharpness", prob=0.0, level=8), dict(type="ShearX", prob=0.4, level=0)],
        [dict(type="ShearY", prob=1.0, level=2), dict(type="TranslateY", prob=0.6, level=6)],
        [dict(type="Rotate", prob=0.6, level=10), dict(type="Color", prob=1.0, level=6)],
    ]


def random_space() -> list[Policy]:
    """Return what `RandAugment` chooses from where nothing else is said: each transform alone, of any strength."""
    colours = ("AutoContrast", "Equalize", "Color", "Contrast", "Brightness", "Sharpness", "Posterize", "Solarize")
    moves = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
    return [[dict(type=name)] for name in (*colours, *moves)]


@TRANSFORMS.register_module()
class AutoAugment(RandomTransform):
    """Take one policy for each image, and do its transforms in turn. Cubuk et al., AutoAugment, arXiv:1805.09501.

    Args:
        policies: Each a list of transforms; by default those that were found on COCO.
        prob: The chance of each; by default all are equally likely.

    Raises:
        ValueError: no policy, or chances that are not one for each, or not 1 in all.
    """

    def __init__(self, policies: Sequence[Policy] | None = None, prob: Sequence[float] | None = None) -> None:
        self.policies = [as_pipeline(one) for one in (learned_policies() if policies is None else policies)]
        self.prob = _checked(len(self.policies), prob)

    def draw(self, results: dict[str, Any]) -> int:
        """Return the number of a policy."""
        return int(np.random.choice(len(self.policies), p=self.prob))

    def apply(self, results: dict[str, Any], drawn: int) -> dict[str, Any] | None:
        """Do the transforms of a policy; each draws for itself whether it acts."""
        return self.policies[drawn](results)


@TRANSFORMS.register_module()
class RandAugment(RandomTransform):
    """Do some policies for each image, one after the other. Cubuk et al., RandAugment, arXiv:1909.13719.

    Args:
        aug_space: Policies, each a list of transforms; by default one for each kind of colour and move.
        aug_num: How many are done; one may come twice.
        prob: The chance of each; by default all are equally likely.

    Raises:
        ValueError: no policy, or chances that are not one for each, or not 1 in all.
    """

    def __init__(
        self, aug_space: Sequence[Policy] | None = None, aug_num: int = 2, *, prob: Sequence[float] | None = None
    ) -> None:
        self.policies = [as_pipeline(one) for one in (random_space() if aug_space is None else aug_space)]
        self.aug_num = aug_num
        self.prob = _checked(len(self.policies), prob)

    def draw(self, results: dict[str, Any]) -> list[int]:
        """Return the numbers of the policies."""
        return np.random.choice(len(self.policies), self.aug_num, p=self.prob).tolist()

    def apply(self, results: dict[str, Any], drawn: Sequence[int]) -> dict[str, Any] | None:
        """Do the policies in turn."""
        done: dict[str, Any] | None = results
        for number in drawn:
            done = self.policies[number](done) if done is not None else None
        return done


def _checked(count: int, prob: Sequence[float] | None) -> Sequence[float] | None:
    """Return the chances of some policies."""
    if not count:
        raise ValueError("automatic augmentation needs at least one policy")
    if prob is not None and (len(prob) != count or min(prob) < 0 or abs(sum(prob) - 1) > 1e-6):
        raise ValueError(f"prob {prob}: one chance for each of {count} policies, and 1 in all")
    return prob

"""What automatic augmentation has in common: a chance, and a strength that may come from a level."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from visuite.cv.transforms.base import RandomTransform


@dataclass(frozen=True)
class Level:
    """A place on a range of strengths: level 0 is its first end, level `total` its second, which may be the smaller.

    Attributes:
        level: Where, from 0 to `total`.
        ends: The range.
        std: Deviation of the normal noise on the level; infinite: a level drawn evenly from 0 to `level`.
        total: The highest level.
    """

    level: float
    ends: tuple[float, float]
    std: float = 0.0
    total: float = 10.0

    def draw(self) -> float:
        """Return a strength."""
        level = self.level
        if self.std == float("inf"):
            level = np.random.uniform(0, level)
        elif self.std > 0:
            level = float(np.clip(np.random.normal(level, self.std), 0, self.total))
        first, second = self.ends
        return first + (second - first) * level / self.total


class AugmentTransform(RandomTransform):
    """Change an image with some chance and some strength.

    `draw` returns the strength, or None where the image stays; `augment` does the change.

    Args:
        strength: A fixed strength, in the transform's own unit. None: it comes from a level.
        magnitude_range: The strengths of level 0 and of `total_level`.
        magnitude_level: The level.
        magnitude_std: Deviation of the normal noise on the level; 'inf': a level from 0 to `magnitude_level`, evenly.
        total_level: The highest level.
        prob: The chance that the image is changed.
        random_negative_prob: The chance that the strength is turned into its negative.

    Raises:
        ValueError: neither or both of a strength and a range, or a chance that is none.
    """

    #: The argument that fixes the strength; None for transforms without strengths.
    strength_name: ClassVar[str | None] = "magnitude"

    def __init__(
        self,
        strength: float | None = None,
        magnitude_range: Sequence[float] | None = None,
        *,
        magnitude_level: float = 10,
        magnitude_std: float | str = 0.0,
        total_level: float = 10,
        prob: float = 0.5,
        random_negative_prob: float = 0.0,
    ) -> None:
        name = type(self).__name__
        if self.strength_name is not None and (strength is None) == (magnitude_range is None):
            raise ValueError(f"{name} needs either {self.strength_name} or magnitude_range")
        for chance in (prob, random_negative_prob):
            if not 0 <= chance <= 1:
                raise ValueError(f"{name}: {chance} is no chance: it must lie between 0 and 1")
        self.strength: float | Level = strength or 0.0
        if magnitude_range is not None:
            first, second = magnitude_range
            self.strength = Level(magnitude_level, (first, second), float(magnitude_std), total_level)
        self.prob = prob
        self.random_negative_prob = random_negative_prob

    def draw(self, results: dict[str, Any]) -> Any:
        """Return the strength, or None to leave the image alone."""
        return self.draw_strength()

    def draw_strength(self) -> float | None:
        """Return a strength, or None where chance decides against the transform."""
        if np.random.random() >= self.prob:
            return None
        strength = self.strength.draw() if isinstance(self.strength, Level) else self.strength
        return -strength if np.random.random() < self.random_negative_prob else strength

    def apply(self, results: dict[str, Any], drawn: Any) -> dict[str, Any]:
        """Change the sample, if it was drawn."""
        if drawn is not None:
            self.augment(results, drawn)
        return results

    @abstractmethod
    def augment(self, results: dict[str, Any], strength: Any) -> None:
        """Change the sample by what `draw` returned."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.strength}, prob={self.prob})"

"""Strengths of automatic augmentation as detection's configs give them."""

from __future__ import annotations

from typing import ClassVar

from visuite.cv.transforms import AugmentTransform

#: The highest level.
_TOP = 10


class LevelledTransform(AugmentTransform):
    """An augmentation whose strength lies between two ends, at a fixed level or anywhere.

    Args:
        prob: The chance of it.
        level: From 0 to 10; None: drawn evenly, for each image.
        min_mag: The strength of level 0, in the transform's own unit; by default the class's.
        max_mag: The strength of level 10; by default the class's.
        reversal_prob: The chance that the strength is turned into its negative.

    Raises:
        ValueError: a level outside of its range, or a chance that is none.
    """

    #: The strengths of level 0 and level 10 where nothing else is said.
    ends: ClassVar[tuple[float, float]]

    def __init__(
        self,
        prob: float = 1.0,
        level: float | None = None,
        *,
        min_mag: float | None = None,
        max_mag: float | None = None,
        reversal_prob: float = 0.0,
    ) -> None:
        if level is not None and not 0 <= level <= _TOP:
            raise ValueError(f"{type(self).__name__}: level {level} does not lie between 0 and {_TOP}")
        low, high = self.ends
        super().__init__(
            magnitude_range=(low if min_mag is None else min_mag, high if max_mag is None else max_mag),
            magnitude_level=_TOP if level is None else level,
            magnitude_std="inf" if level is None else 0.0,
            total_level=_TOP,
            prob=prob,
            random_negative_prob=reversal_prob,
        )

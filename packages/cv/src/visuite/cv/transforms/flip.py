"""Mirroring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.moves import flip_sample, seg_keys
from visuite.engine.registry import TRANSFORMS

_DIRECTIONS = ("horizontal", "vertical", "diagonal")


@TRANSFORMS.register_module()
class RandomFlip(RandomTransform):
    """Flip the image and all that belongs to it; set `flip` and `flip_direction`.

    Args:
        prob: The chance of a flip, shared by all directions, or one chance for each direction. None: no flip.
        direction: `horizontal`, `vertical` or `diagonal` (both at once), or a list of them.
        swap_seg_labels: Pairs of classes of the semantic map that trade places under a flip: left and right hand.

    Raises:
        ValueError: a chance outside [0, 1], unequal lengths, or an unknown direction.
    """

    def __init__(
        self,
        prob: float | Sequence[float] | None = None,
        direction: str | Sequence[str] = "horizontal",
        *,
        swap_seg_labels: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.direction = [direction] if isinstance(direction, str) else list(direction)
        self.prob = _share(prob, len(self.direction))
        self.swap_seg_labels = swap_seg_labels
        unknown = [one for one in self.direction if one not in _DIRECTIONS]
        if unknown:
            raise ValueError(f"direction {unknown[0]!r} is none of {list(_DIRECTIONS)}")

    def draw(self, results: dict[str, Any]) -> str | None:
        """Return a direction, or None for no flip."""
        edges = np.cumsum(self.prob)
        chosen = int(np.searchsorted(edges, np.random.random(), side="right"))
        return self.direction[chosen] if chosen < len(self.direction) else None

    def apply(self, results: dict[str, Any], drawn: str | None) -> dict[str, Any]:
        """Flip in the drawn direction."""
        results["flip"], results["flip_direction"] = drawn is not None, drawn
        if drawn is not None:
            flip_sample(results, drawn)
            if self.swap_seg_labels is not None:
                for key in seg_keys(results):
                    results[key] = _swap(results[key], self.swap_seg_labels)
        return results


def _share(prob: float | Sequence[float] | None, directions: int) -> list[float]:
    """Return one chance for each direction."""
    if prob is None or isinstance(prob, (int, float)):
        shares = [(prob or 0.0) / directions] * directions
    else:
        shares = [float(one) for one in prob]
    if len(shares) != directions:
        raise ValueError(f"{len(shares)} chances for {directions} directions")
    if min(shares) < 0 or sum(shares) > 1 + 1e-6:
        raise ValueError(f"prob {prob} is no chance: each at least 0, at most 1 in all")
    return shares


def _swap(seg_map: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    swapped = seg_map.copy()
    for left, right in pairs:
        swapped[seg_map == left] = right
        swapped[seg_map == right] = left
    return swapped

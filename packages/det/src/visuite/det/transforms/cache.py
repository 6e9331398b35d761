"""The samples that a pipeline made last, for transforms that mix images without asking the data set."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


class SampleCache:
    """At most so many samples; the first of them, or any but the newest, makes room for another.

    Each process of a loader fills its own, with what it happens to make: what is drawn from it depends on the number of
    workers, and is not brought back when a run resumes.

    Args:
        most: How many samples.
        random_pop: Let chance decide which one goes.
    """

    def __init__(self, most: int, random_pop: bool = True) -> None:
        self.most = most
        self.random_pop = random_pop
        self.samples: list[dict[str, Any]] = []

    def push(self, results: dict[str, Any]) -> None:
        """Keep a copy of a sample."""
        self.samples.append(copy.deepcopy(results))
        if len(self.samples) > self.most:
            self.samples.pop(np.random.randint(len(self.samples) - 1) if self.random_pop else 0)

    def draw(self) -> dict[str, Any]:
        """Return one of the samples, whose arrays are not to be written to."""
        return dict(self.samples[np.random.randint(len(self.samples))])

    def __len__(self) -> int:
        return len(self.samples)

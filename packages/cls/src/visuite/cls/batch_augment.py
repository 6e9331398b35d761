"""Augmentations that mix the images of a batch.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from visuite.cls.registry import BATCH_AUGMENTS

BatchAugment = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class RandomBatchAugment:
    """Choose one augmentation for each batch.

    Args:
        augments: Configs or callables; each takes and returns images (B, C, H, W) and soft labels (B, K).
        probs: The chance of each; what is missing to 1 leaves the batch alone. By default all are equally likely.

    Raises:
        ValueError: the chances are not one for each, or exceed 1.
    """

    def __init__(self, augments: Any, probs: float | Sequence[float] | None = None) -> None:
        chosen = [augments] if isinstance(augments, dict) or callable(augments) else list(augments)
        self.augments: list[BatchAugment] = [BATCH_AUGMENTS.build(one) for one in chosen]
        chances = [probs] if isinstance(probs, (int, float)) else probs
        self.probs = [1 / len(chosen)] * len(chosen) if chances is None else [float(one) for one in chances]
        if len(self.probs) != len(self.augments):
            raise ValueError(f"{len(self.probs)} chances for {len(self.augments)} augmentations")
        if min(self.probs) < 0 or sum(self.probs) > 1 + 1e-6:
            raise ValueError(f"probs {self.probs} are no chances: each at least 0, at most 1 in all")

    def draw(self) -> BatchAugment | None:
        """Return the augmentation for a batch, or None."""
        chosen = int(np.searchsorted(np.cumsum(self.probs), np.random.random(), side="right"))
        return self.augments[chosen] if chosen < len(self.augments) else None

    def __call__(self, inputs: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Augment a batch of images (B, C, H, W) and soft labels (B, K)."""
        augment = self.draw()
        return (inputs, scores) if augment is None else augment(inputs, scores)

"""Associative embedding: the corners of one object get like values, those of different objects unlike ones.

From CornerNet (Law and Deng, arXiv:1808.01244).

Shapes: B images, H rows, W columns, K objects of an image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from visuite.cv.ops import full_precision
from visuite.engine.registry import MODELS

Corners = Sequence[Sequence[Sequence[int]]]


def associative_embedding_loss(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far the values of each object lie apart, and how near different objects come to one another.

    Args:
        first: Values (K,) at the objects' first corners.
        second: At the second ones.

    Returns:
        `pull`, the mean squared distance from the object's mean value, both corners added; `push`, the mean over pairs
        of objects of how much less than 1 their mean values differ. Both are 0 where there is nothing to compare.
    """
    count = len(first)
    centre = (first + second) / 2
    pull = ((first - centre) ** 2 + (second - centre) ** 2).sum() / max(count, 1)
    nearness = (1 - (centre[:, None] - centre[None]).abs()).clamp(min=0)
    others = ~torch.eye(count, dtype=torch.bool, device=first.device)
    return pull, (nearness * others).sum() / max(count * (count - 1), 1)


@MODELS.register_module()
class AssociativeEmbeddingLoss(nn.Module):
    """Pull and push losses of corner embeddings (arXiv:1808.01244), added over images.

    Args:
        pull_weight: Multiplies the first.
        push_weight: Multiplies the second.
    """

    def __init__(self, pull_weight: float = 0.25, push_weight: float = 0.25) -> None:
        super().__init__()
        self.pull_weight, self.push_weight = pull_weight, push_weight

    def forward(
        self, pred: torch.Tensor, target: torch.Tensor, match: Sequence[Corners]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pull and the push loss.

        Args:
            pred: Embeddings of top-left corners (B, 1, H, W).
            target: Embeddings of bottom-right corners (B, 1, H, W).
            match: For each image and object, `[[row, column], [row, column]]` of its corners, top-left first.
        """
        pull, push = pred.new_zeros(2, dtype=torch.float32).unbind()
        for first, second, objects in zip(full_precision(pred), full_precision(target), match, strict=True):
            places = torch.as_tensor(objects, dtype=torch.long, device=pred.device).reshape(-1, 4)
            top, left, bottom, right = places.unbind(1)
            one_pull, one_push = associative_embedding_loss(first[0, top, left], second[0, bottom, right])
            pull, push = pull + one_pull, push + one_push
        return self.pull_weight * pull, self.push_weight * push

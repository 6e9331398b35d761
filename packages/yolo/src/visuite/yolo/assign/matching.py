"""Matching objects with the priors of lowest cost, for a whole batch. Ge et al., OTA, arXiv:2103.14259.

Shapes: B images, P priors, G objects of the image that has most, g objects of a slice, C priors that an object gets at
most.
"""

from __future__ import annotations

import torch


class BatchMatching:
    """Give each object the priors of lowest cost, as many as its best overlaps add up to, while slices of the objects
    go by.

    A prior that several objects want goes to the object of lowest cost, also to one that has cheaper priors.

    Args:
        topk: How many of the best overlaps are added up; also the most priors that an object gets.
        usable: (B, P), which priors take part.
    """

    def __init__(self, topk: int, usable: torch.Tensor) -> None:
        self.topk = min(topk, usable.shape[1])
        self.usable = usable[:, None]
        self._wanted = torch.zeros_like(usable, dtype=torch.long)
        self._wanting = torch.zeros_like(self._wanted)
        self._cheapest = torch.zeros_like(self._wanted)
        self._lowest = torch.full(usable.shape, torch.inf, device=usable.device)

    def update(self, costs: torch.Tensor, overlaps: torch.Tensor, valid: torch.Tensor, start: int) -> None:
        """Look at objects `start`, `start` + 1, ...

        Args:
            costs: (B, g, P).
            overlaps: (B, g, P).
            valid: (B, g), which rows are objects.
            start: The number of the first.
        """
        if not self.topk or not costs.shape[1]:
            return
        costs = costs.masked_fill(~(self.usable & valid[..., None]), torch.inf)
        counts = (overlaps * self.usable).topk(self.topk, dim=-1).values.sum(dim=-1).int().clamp(min=1)
        lowest, order = costs.topk(self.topk, dim=-1, largest=False)
        taken = (torch.arange(self.topk, device=costs.device) < counts[..., None]) & (lowest < torch.inf)
        numbers = torch.arange(start + 1, start + 1 + costs.shape[1], device=costs.device)[:, None]
        self._wanted.scatter_add_(1, order.flatten(1), taken.long().flatten(1))
        self._wanting.scatter_reduce_(1, order.flatten(1), (taken * numbers).flatten(1), "amax")
        lowest, which = costs.min(dim=1)
        better = lowest < self._lowest
        self._lowest = torch.where(better, lowest, self._lowest)
        self._cheapest = torch.where(better, which + start + 1, self._cheapest)

    def owners(self) -> torch.Tensor:
        """Return the object of each prior, (B, P): 0, or 1 + its number."""
        return torch.where(self._wanted > 1, self._cheapest, self._wanting)

"""Who gets a prior that several objects want, and matching by cost (Ge et al., OTA, arXiv:2103.14259), in batches.

Shapes: B images, P priors, g objects of a slice, C priors that an object gets at most.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Contest:
    """Give priors to the objects that want them, while slices of the objects go by.

    A prior that several objects want goes to the one that it fits best of all, also to one that does not want it.

    Args:
        size: (B, P).
        device: Of everything.
    """

    def __init__(self, size: Sequence[int], device: torch.device) -> None:
        self._times_wanted = torch.zeros(*size, dtype=torch.long, device=device)
        self._wanting = torch.zeros_like(self._times_wanted)
        self._best = torch.zeros_like(self._times_wanted)
        self._best_fits = torch.full(self._best.shape, -torch.inf, device=device)

    def update(self, priors: torch.Tensor, wanted: torch.Tensor, fits: torch.Tensor, start: int) -> None:
        """Look at objects `start`, `start` + 1, ...

        Args:
            priors: (B, g, C), numbers.
            wanted: (B, g, C), which of these priors the objects want.
            fits: (B, g, P), how well priors fit objects; -inf in rows that are no objects.
            start: The number of the first.
        """
        if not fits.numel():
            return
        numbers = torch.arange(start + 1, start + 1 + fits.shape[1], device=fits.device)[:, None]
        self._times_wanted.scatter_add_(1, priors.flatten(1), wanted.long().flatten(1))
        self._wanting.scatter_reduce_(1, priors.flatten(1), (wanted * numbers).flatten(1), "amax")
        best_fits, which = fits.max(dim=1)
        better = best_fits > self._best_fits
        self._best_fits = torch.where(better, best_fits, self._best_fits)
        self._best = torch.where(better, which + start + 1, self._best)

    def owners(self) -> torch.Tensor:
        """Return the object of each prior, (B, P): 0, or 1 + its number."""
        return torch.where(self._times_wanted > 1, self._best, self._wanting)


def dynamic_k(
    costs: torch.Tensor, overlaps: torch.Tensor, usable: torch.Tensor, topk: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the priors (B, g, C) of lowest cost, and which of them each object wants (B, g, C): as many as its best
    overlaps add up to, and one at least.

    Args:
        costs: (B, g, P), inf where a prior cannot belong to an object.
        overlaps: (B, g, P).
        usable: (B, 1, P), which priors take part.
        topk: How many of the best overlaps are added up; also the most priors that an object gets.
    """
    topk = min(topk, costs.shape[-1])
    counts = (overlaps * usable).topk(topk, dim=-1).values.sum(dim=-1, keepdim=True).int().clamp(min=1)
    lowest, order = costs.topk(topk, dim=-1, largest=False)
    return order, (torch.arange(topk, device=costs.device) < counts) & (lowest < torch.inf)

"""From maps of several levels to one row of predictions, and what belongs to it.

Shapes: B images, L levels, H_l and W_l the size of a level's map, A priors at each place, D numbers for each prior,
P priors of all levels: level by level, row by row, column by column, then the priors of a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from visuite.cv.ops import full_precision
from visuite.engine import dist

Maps = Sequence[torch.Tensor]


def flatten_levels(maps: Maps, channels: int) -> torch.Tensor:
    """Turn the maps (B, A * D, H_l, W_l) of all levels into (B, P, D), in float32: losses and boxes need its digits.

    Args:
        maps: One for each level.
        channels: D.
    """
    rows = [one.permute(0, 2, 3, 1).reshape(one.shape[0], -1, channels) for one in maps]
    return full_precision(torch.cat(rows, dim=1))


def map_sizes(maps: Maps) -> list[tuple[int, int]]:
    """Return (H_l, W_l) of each level."""
    return [(one.shape[-2], one.shape[-1]) for one in maps]


def level_numbers(
    sizes: Sequence[tuple[int, int]], num_base_priors: Sequence[int], device: torch.device
) -> torch.Tensor:
    """Return the number (P,) of each prior's level, given (H_l, W_l) and A of the levels."""
    counts = [h * w * a for (h, w), a in zip(sizes, num_base_priors, strict=True)]
    return torch.arange(len(counts), device=device).repeat_interleave(torch.tensor(counts, device=device))


def usable_priors(
    generator: Any,
    sizes: Sequence[tuple[int, int]],
    img_metas: Sequence[Mapping[str, Any]],
    *,
    priors: torch.Tensor,
    allowed_border: float = -1,
) -> torch.Tensor:
    """Say which priors may be assigned to objects: those over the image, not over what only the batch needs.

    Args:
        generator: Of the priors; its `valid_flags(sizes, pad_shape, device)` is asked.
        sizes: (H_l, W_l) of each level.
        img_metas: `pad_shape` and `img_shape` of each image.
        priors: Boxes (P, 4).
        allowed_border: How far boxes may stand out of the image; below 0, any distance.

    Returns:
        (B, P) bool.
    """
    rows = []
    for meta in img_metas:
        flags = generator.valid_flags(sizes, meta["pad_shape"], device=priors.device)
        usable = torch.cat([flag.to(priors.device) for flag in flags])
        if allowed_border >= 0:
            h, w = meta["img_shape"][:2]
            usable = usable & (priors[:, :2] >= -allowed_border).all(dim=1)
            usable = usable & (priors[:, 2] < w + allowed_border) & (priors[:, 3] < h + allowed_border)
        rows.append(usable)
    return torch.stack(rows)


def mean_over_ranks(value: float | torch.Tensor, like: torch.Tensor, least: float = 1.0) -> torch.Tensor:
    """Return the mean of a number over the processes: what the sum of a loss is divided by.

    Args:
        value: The number of this process.
        like: A tensor on the device wanted.
        least: The mean is at least this.
    """
    mean = torch.as_tensor(value, dtype=torch.float32, device=like.device).detach().clone()
    dist.all_reduce(mean, "mean")
    return mean.clamp(min=least)

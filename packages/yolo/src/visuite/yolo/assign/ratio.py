"""Objects to the anchors whose sides are like theirs, in the cell of the object's centre and in those beside it.

This is YOLOv5's rule; YOLOv7 (Wang et al., arXiv:2207.02696) chooses among what it finds.

Shapes: N objects of a batch, L levels, A anchors at each place, M pairs of an object and an anchor, P priors of all
levels (see `visuite.det.heads.levels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

#: The cell itself, the ones left and above, the ones right and below: steps along x and y.
STEPS = ((0, 0), (-1, 0), (0, -1), (1, 0), (0, 1))


@dataclass(frozen=True)
class Matches:
    """Pairs of an object and an anchor; an anchor may stand in several.

    Attributes:
        images: (M,) long.
        priors: (M,) long, numbers in 0..P-1.
        objects: (M,) long, numbers in 0..N-1.
        levels: (M,) long.
    """

    images: torch.Tensor
    priors: torch.Tensor
    objects: torch.Tensor
    levels: torch.Tensor

    def __getitem__(self, chosen: torch.Tensor) -> Matches:
        """Return those that a mask (M,) or numbers choose."""
        return Matches(self.images[chosen], self.priors[chosen], self.objects[chosen], self.levels[chosen])


def match_by_ratio(
    rows: torch.Tensor, generator: Any, sizes: Sequence[tuple[int, int]], *, most: float = 4.0, reach: float = 0.5
) -> Matches:
    """Match objects with all anchors whose width and height are both within a factor of the object's.

    Args:
        rows: Objects (N, 6): image, label, box in pixels.
        generator: Of anchors in the middle of each place, A at each level: its `base_anchors` and `strides` are used.
        sizes: (H_l, W_l) of each level.
        most: The factor; one less than 1 matches nothing.
        reach: A cell beside the centre's own takes part where the centre is nearer to it, in cells, than this.
    """
    anchors = torch.stack(generator.base_anchors).to(rows.device)
    strides = anchors.new_tensor(generator.strides)
    grid = anchors.new_tensor(sizes).flip(1)[:, None]  # (L, 1, 2), columns first
    ratio = (rows[:, 4:] - rows[:, 2:4]) / (anchors[..., 2:] - anchors[..., :2])[:, :, None]
    alike = torch.maximum(ratio, 1 / ratio).amax(dim=-1) < most  # (L, A, N)

    place = (rows[:, 2:4] + rows[:, 4:]) / 2 / strides[:, None]
    cell = torch.minimum(place.floor().clamp(min=0), grid - 1)  # (L, N, 2)
    before = (place - cell < reach) & (cell > 0)
    behind = (cell + 1 - place < reach) & (cell < grid - 1)
    own = torch.ones_like(before[..., :1])
    beside = torch.cat([own, before, behind], dim=-1).movedim(-1, 0)  # (5, L, N), as STEPS

    step, levels, anchor, objects = (alike & beside[:, :, None]).nonzero(as_tuple=True)
    column, row = (cell[levels, objects].long() + torch.tensor(STEPS, device=rows.device)[step]).unbind(1)
    counts = [0, *(h * w * anchors.shape[1] for h, w in sizes)]
    start, width = (torch.tensor(one, device=rows.device) for one in (counts, [w for _, w in sizes]))
    priors = start.cumsum(0)[levels] + (row * width[levels] + column) * anchors.shape[1] + anchor
    return Matches(rows[objects, 0].long(), priors, objects, levels)

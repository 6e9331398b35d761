"""Comparing many priors with many objects in bounded memory: a few objects at a time, and what is kept of them.

Shapes: P priors, G objects of one image, g objects of a chunk, R regions that do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from visuite.engine.structures import InstanceData

Cfg = Mapping[str, Any]
#: IoU or another overlap: (boxes (M, 4), boxes (N, 4), mode='iou', is_aligned=False) -> (M, N) or (M,).
IoUCalculator = Callable[..., torch.Tensor]

#: What overlap is where nothing else is said.
BOX_IOU: Cfg = {"type": "BboxOverlaps2D"}

#: Pairs of a prior and an object that are compared at a time: 4 Mi, or 16 MiB for each float32 matrix of them.
PAIRS_AT_ONCE = 2**22


def object_chunks(num_gts: int, num_priors: int) -> Iterator[slice]:
    """Yield slices of the objects, such that one slice against all priors makes `PAIRS_AT_ONCE` pairs at most.

    There is an object in each at least; a few objects are all in one.
    """
    step = max(1, PAIRS_AT_ONCE // max(num_priors, 1))
    for start in range(0, num_gts, step):
        yield slice(start, min(start + step, num_gts))


class BestObjects:
    """The best object of each prior so far.

    Attributes:
        overlaps: (P,), with that object; at first -1.
        objects: (P,) long, its number; among equals the first.
    """

    def __init__(self, num_priors: int, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.overlaps = torch.full((num_priors,), -1.0, device=device, dtype=dtype)
        self.objects = torch.zeros(num_priors, dtype=torch.long, device=device)

    def update(self, overlaps: torch.Tensor, start: int) -> None:
        """Look at the overlaps (g, P) of objects `start`, `start` + 1, ..."""
        top, which = overlaps.max(dim=0)
        better = top > self.overlaps
        self.overlaps = torch.where(better, top.to(self.overlaps), self.overlaps)
        self.objects = torch.where(better, which + start, self.objects)


class Claims:
    """The priors that objects claim for being their best, though they may fit others better.

    Args:
        num_priors: P.
        every: Of priors that fit equally well, claim all; else the first.
        device: Of the result.

    Attributes:
        owners: (P,) long: 0, or 1 + the number of the last object that claims the prior.
    """

    def __init__(self, num_priors: int, every: bool, device: torch.device) -> None:
        self.every = every
        self.owners = torch.zeros(num_priors, dtype=torch.long, device=device)

    def update(self, overlaps: torch.Tensor, start: int, wanted: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Look at the overlaps (g, P) of objects `start`, `start` + 1, ...

        Args:
            overlaps: (g, P).
            start: The number of the first object.
            wanted: Tells by the objects' best overlaps (g,) which of them claim anything. Those that overlap nothing
                never do.
        """
        if not overlaps.numel():
            return
        top, which = overlaps.max(dim=1)
        claiming = wanted(top) & (top > 0)
        if self.every:
            objects, priors = ((overlaps == top[:, None]) & claiming[:, None]).nonzero(as_tuple=True)
        else:
            objects = claiming.nonzero().squeeze(1)
            priors = which[objects]
        self.owners.scatter_reduce_(0, priors, objects + start + 1, "amax")


def priors_in_regions(
    priors: torch.Tensor,
    regions: InstanceData | None,
    threshold: float,
    iou_calculator: IoUCalculator,
    *,
    wrt_candidates: bool = True,
) -> torch.Tensor | None:
    """Tell which priors (P,) lie in regions that do not count, or None where there is no such thing.

    Args:
        priors: Boxes (P, 4).
        regions: Their `bboxes` (R, 4).
        threshold: The part of a prior (or of a region) that both share, above which the prior lies in the region; 0 and
            less: never.
        iou_calculator: Called with the mode `iof`.
        wrt_candidates: The part of a prior; else the part of a region.
    """
    if threshold <= 0 or regions is None or not len(regions.bboxes) or not len(priors):
        return None
    inside = torch.zeros(len(priors), dtype=torch.bool, device=priors.device)
    for part in object_chunks(len(regions.bboxes), len(priors)):
        boxes = regions.bboxes[part]
        if wrt_candidates:
            shared = iou_calculator(priors, boxes, mode="iof").amax(dim=1)
        else:
            shared = iou_calculator(boxes, priors, mode="iof").amax(dim=0)
        inside |= shared > threshold
    return inside

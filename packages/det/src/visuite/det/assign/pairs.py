"""Assigning from pairs of a prior and an object, few where a matrix of both would be large.

Shapes: P priors, V of them, G objects of one image, g objects of a chunk, M pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from visuite.det.assign.sweep import IoUCalculator, object_chunks
from visuite.det.boxes import bbox2distance

#: How far from an edge, in pixels, a centre must be to lie inside a box.
INSIDE = 0.01


def box_centres(boxes: torch.Tensor) -> torch.Tensor:
    """Return the centres (M, 2) of boxes (M, 4)."""
    return (boxes[:, :2] + boxes[:, 2:4]) / 2


def pair_up(candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the priors (M,) and the objects (M,) of all pairs, given the candidates (G, K) of each object."""
    objects = torch.arange(len(candidates), device=candidates.device)
    return candidates.flatten(), objects[:, None].expand_as(candidates).flatten()


def centres_inside(points: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Tell which points (M, 2) lie inside the box (M, 4) in the same place."""
    return bbox2distance(points, boxes).amin(dim=-1) > INSIDE


def points_in_boxes(points: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Tell which points (V, 2) lie inside which boxes (g, 4): (g, V)."""
    x, y = points[:, :2].unbind(1)
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
    return (x > x1) & (y > y1) & (x < x2) & (y < y2)


def centre_distances(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return the distances of points (V, 2) from centres (g, 2): (g, V)."""
    x, y = points[:, :2].unbind(1)
    across, down = centres[:, :, None].unbind(1)
    return ((x - across) ** 2 + (y - down) ** 2).sqrt()


def best_pairs(
    priors: torch.Tensor, objects: torch.Tensor, fits: torch.Tensor, num_priors: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give each prior the object that fits best of those it is paired with; among equals the first.

    Args:
        priors: (M,), the numbers of the pairs' priors.
        objects: (M,), the numbers of the pairs' objects.
        fits: (M,), how well they fit.
        num_priors: P.

    Returns:
        gt_inds (P,), 0 or 1 + the number of the object, and the fit (P,), 0 where there is none.
    """
    best = fits.new_full((num_priors,), -torch.inf).scatter_reduce(0, priors, fits, "amax")
    winning = fits == best[priors]
    none = torch.iinfo(torch.long).max
    owners = torch.full_like(best, none, dtype=torch.long)
    owners.scatter_reduce_(0, priors[winning], objects[winning], "amin")
    paired = owners < none
    return torch.where(paired, owners + 1, 0), torch.where(paired, best, 0)


def match_by_cost(
    costs: Callable[[torch.Tensor, slice], tuple[torch.Tensor, torch.Tensor]],
    *,
    num_gts: int,
    num_priors: int,
    topk: int,
    device: torch.device,
) -> torch.Tensor:
    """Give each object the priors of lowest cost, as many as its best overlaps add up to. Ge et al., OTA,
    arXiv:2103.14259.

    A prior that several objects want goes to the object of lowest cost.

    Args:
        costs: Returns costs and overlaps (g, V), of priors by their numbers (V,) and a slice of the objects.
        num_gts: G.
        num_priors: P.
        topk: How many of the best overlaps are added up; also the most priors that an object gets.
        device: Of everything.

    Returns:
        gt_inds (P,), 0 or 1 + the number of the object.
    """
    everything = torch.arange(num_priors, device=device)
    wanted = torch.zeros(num_priors, dtype=torch.long, device=device)
    gt_inds = torch.zeros_like(wanted)
    topk = min(topk, num_priors)
    for part in object_chunks(num_gts if topk else 0, num_priors):
        cost, overlaps = costs(everything, part)
        counts = overlaps.topk(topk, dim=1).values.sum(dim=1).int().clamp(min=1)
        order = cost.topk(topk, dim=1, largest=False).indices
        taken = torch.arange(topk, device=device) < counts[:, None]
        priors = order[taken]
        wanted.index_add_(0, priors, torch.ones_like(priors))
        gt_inds[priors] = torch.arange(part.start, part.stop, device=device)[:, None].expand_as(order)[taken] + 1
    contested = (wanted > 1).nonzero().squeeze(1)
    if len(contested):
        gt_inds[contested] = _cheapest(costs, contested, num_gts) + 1
    return gt_inds


def _cheapest(
    costs: Callable[[torch.Tensor, slice], tuple[torch.Tensor, torch.Tensor]], priors: torch.Tensor, num_gts: int
) -> torch.Tensor:
    """Return the object (V,) of lowest cost for each of some priors (V,)."""
    lowest = torch.full(priors.shape, torch.inf, device=priors.device)
    objects = torch.zeros_like(priors)
    for part in object_chunks(num_gts, len(priors)):
        cost, which = costs(priors, part)[0].min(dim=0)
        better = cost < lowest
        lowest = torch.where(better, cost, lowest)
        objects = torch.where(better, which + part.start, objects)
    return objects


def matched_overlaps(
    gt_inds: torch.Tensor, predicted: torch.Tensor, boxes: torch.Tensor, iou_calculator: IoUCalculator
) -> torch.Tensor:
    """Return the overlaps (P,) of predicted boxes (P, 4) with their objects of (G, 4), 0 where `gt_inds` (P,) names
    none.
    """
    found = (gt_inds > 0).nonzero().squeeze(1)
    overlaps = iou_calculator(predicted[found], boxes[gt_inds[found] - 1], is_aligned=True)
    return overlaps.new_zeros(len(gt_inds)).index_put((found,), overlaps)

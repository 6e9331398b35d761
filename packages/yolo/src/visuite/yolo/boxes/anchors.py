"""Anchors that suit a data set: shapes to which its objects are as alike as can be.

Shapes: N objects, A anchors. Sizes are (w, h) in pixels of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
#: Objects and anchors to their distances (N, A), which a clustering makes small.
Distance = Callable[[Array, Array], Array]
#: Of more objects than these, so many are drawn to search by.
MOST_OBJECTS = 10_000


@dataclass(frozen=True)
class AnchorQuality:
    """How well anchors suit objects.

    Attributes:
        mean_iou: The mean IoU of an object and the anchor most like it, centre on centre.
        recall: The share of objects that some anchor matches.
        matches: The mean number of anchors that match an object.
    """

    mean_iou: float
    recall: float
    matches: float


def object_sizes(datasets: Sequence[Any], input_shape: tuple[int, int]) -> Array:
    """Return the sizes (N, 2) of all objects of data sets whose images are made as large as fits (width, height).

    Objects that are to be ignored, and those without an extent, are left out.

    Raises:
        ValueError: there is no object.
    """
    found = [np.zeros((0, 2))]
    for dataset in datasets:
        for index in range(len(dataset)):
            record = dataset.get_data_info(index)
            scale = min(input_shape[0] / record["width"], input_shape[1] / record["height"])
            boxes = [one["bbox"] for one in record["instances"] if not one.get("ignore_flag")]
            corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
            found.append((corners[:, 2:] - corners[:, :2]) * scale)
    sizes = np.concatenate(found)
    sizes = sizes[(sizes > 0).all(axis=1)]
    if not len(sizes):
        raise ValueError("anchors are made from objects, and the data has none")
    return sizes


def shape_ious(sizes: Array, anchors: Array) -> Array:
    """Return the IoUs (N, A) of objects and anchors that have the same centre."""
    overlap = np.minimum(sizes[:, None], anchors).prod(axis=2)
    return overlap / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=1) - overlap)


def shape_ratios(sizes: Array, anchors: Array) -> Array:
    """Return how much of an edge an object (or an anchor) has of the other's, for the edge that fits worse; (N, A)."""
    ratios = sizes[:, None] / anchors
    return np.minimum(ratios, 1 / ratios).min(axis=2)


def anchor_quality(sizes: Array, anchors: Array, match_thr: float = 4.0) -> AnchorQuality:
    """Judge anchors (A, 2) by objects (N, 2); edges of a match differ by a factor below `match_thr`."""
    matches = shape_ratios(sizes, anchors) > 1 / match_thr
    best = shape_ious(sizes, anchors).max(axis=1)
    return AnchorQuality(float(best.mean()), float(matches.any(axis=1).mean()), float(matches.sum(axis=1).mean()))


def anchors_by_level(anchors: Array, levels: int) -> list[list[tuple[int, int]]]:
    """Return anchors in whole pixels, sorted by area and dealt to levels, the smallest to the first.

    Raises:
        ValueError: the levels cannot have equally many.
    """
    if len(anchors) % levels:
        raise ValueError(f"{len(anchors)} anchors cannot be dealt to {levels} levels")
    ordered = [(max(round(w), 1), max(round(h), 1)) for w, h in by_area(anchors).tolist()]
    each = len(anchors) // levels
    return [ordered[start : start + each] for start in range(0, len(ordered), each)]


def by_area(anchors: Array) -> Array:
    """Sort anchors (A, 2) by their areas."""
    return anchors[np.argsort(anchors.prod(axis=1), kind="stable")]


# ---------------------------------------------------------------------- clustering


def k_means(
    sizes: Array, number: int, distance: Distance, *, rng: np.random.Generator, restarts: int = 10, rounds: int = 300
) -> Array:
    """Cluster objects (N, 2) by a distance, and return the means (A, 2) of the best of several clusterings.

    Each begins at objects that are drawn the likelier, the farther they are from those drawn before (k-means++, Arthur
    and Vassilvitskii, 2007).

    Raises:
        ValueError: there are fewer different objects than clusters.
    """
    different = len(np.unique(sizes, axis=0))
    if different < number:
        raise ValueError(f"{number} anchors need as many different objects, and there are {different}")
    found = [_cluster(sizes, _spread(sizes, number, distance, rng), distance, rounds) for _ in range(restarts)]
    return min(found, key=lambda means: distance(sizes, means).min(axis=1).mean())


def _spread(sizes: Array, number: int, distance: Distance, rng: np.random.Generator) -> Array:
    chosen = sizes[rng.integers(len(sizes))][None]
    while len(chosen) < number:
        far = distance(sizes, chosen).min(axis=1).clip(0)
        chosen = np.concatenate([chosen, sizes[rng.choice(len(sizes), p=far / far.sum())][None]])
    return chosen


def _cluster(sizes: Array, means: Array, distance: Distance, rounds: int) -> Array:
    nearest = np.full(len(sizes), -1)
    for _ in range(rounds):
        before, nearest = nearest, distance(sizes, means).argmin(axis=1)
        if (nearest == before).all():
            break
        counts = np.bincount(nearest, minlength=len(means))[:, None]
        sums = np.stack([np.bincount(nearest, edge, minlength=len(means)) for edge in sizes.T], axis=1)
        means = np.where(counts > 0, sums / counts.clip(1), means)  # what lost all its objects stays where it is
    return means


# ---------------------------------------------------------------------- algorithms


def k_means_anchors(sizes: Array, number: int, *, rng: np.random.Generator, match_thr: float = 4.0) -> Array:
    """Find anchors by k-means under the distance 1 - IoU (YOLO9000, arXiv:1612.08242).

    Args:
        sizes: Objects (N, 2).
        number: A.
        rng: What is drawn from.
        match_thr: Not asked for.

    Returns:
        Anchors (A, 2), sorted by area.
    """
    few = sample(sizes, rng)
    return by_area(k_means(few, number, lambda some, means: 1 - shape_ious(some, means), rng=rng))


def differential_evolution_anchors(
    sizes: Array, number: int, *, rng: np.random.Generator, match_thr: float = 4.0, generations: int = 1000
) -> Array:
    """Find anchors of the highest mean IoU by differential evolution (Storn and Price, 1997).

    Candidates are sets of sizes in a logarithmic scale, at first such of objects.

    Args:
        sizes: Objects (N, 2).
        number: A.
        rng: What is drawn from.
        match_thr: Not asked for.
        generations: How long to go on at most; it ends earlier when all candidates are as good.

    Returns:
        Anchors (A, 2), sorted by area.
    """
    from scipy.optimize import differential_evolution  # slow to import

    few = sample(sizes, rng)
    low, high = np.log(few.min(axis=0)), np.log(few.max(axis=0))
    high = np.maximum(high, low + 1e-6)  # objects of one width
    candidates = np.stack([by_area(rng.choice(few, number)).ravel() for _ in range(30 * number)])
    found = differential_evolution(
        lambda one: 1 - shape_ious(few, np.exp(one).reshape(-1, 2)).max(axis=1).mean(),
        list(zip(np.tile(low, number), np.tile(high, number), strict=True)),
        init=np.log(candidates),
        maxiter=generations,
        rng=rng,
        polish=False,
    )
    return by_area(np.exp(found.x).reshape(-1, 2))


def v5_k_means_anchors(
    sizes: Array, number: int, *, rng: np.random.Generator, match_thr: float = 4.0, generations: int = 1000
) -> Array:
    """Find anchors by k-means, each edge in units of its deviation, then by small random changes that are better.

    What is better is a mean over the objects: of how alike the edges of an object and of its best anchor are, or 0
    where that is no match.

    Args:
        sizes: Objects (N, 2).
        number: A.
        rng: What is drawn from.
        match_thr: Edges of a match differ by a factor below it.
        generations: How many changes are tried.

    Returns:
        Anchors (A, 2), sorted by area.
    """
    few = sample(sizes, rng)
    unit = np.where(np.ptp(few, axis=0) > 0, few.std(axis=0), 1.0)  # objects of one width deviate by nothing
    best = unit * k_means(few / unit, number, lambda some, means: ((some[:, None] - means) ** 2).sum(axis=2), rng=rng)

    def fitness(anchors: Array) -> float:
        alike = shape_ratios(few, anchors).max(axis=1)
        return float((alike * (alike > 1 / match_thr)).mean())

    highest = fitness(best)
    for _ in range(generations):
        change = np.exp(rng.normal(0, 0.1, best.shape) * (rng.random(best.shape) < 0.5))
        tried = fitness(best * change)
        if tried > highest:
            best, highest = best * change, tried
    return by_area(best)


def sample(sizes: Array, rng: np.random.Generator) -> Array:
    """Return at most `MOST_OBJECTS` of the objects."""
    return sizes if len(sizes) <= MOST_OBJECTS else rng.choice(sizes, MOST_OBJECTS, replace=False)


#: `(sizes, number, rng=, match_thr=)` to anchors (A, 2).
ALGORITHMS: dict[str, Callable[..., Array]] = {
    "k-means": k_means_anchors,
    "differential_evolution": differential_evolution_anchors,
    "v5-k-means": v5_k_means_anchors,
}

"""How many objects proposals cover, whatever their class.

G: objects; P: proposals; M: limits on the proposals of an image; T: thresholds of IoU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from visuite.det.metrics.matching import overlaps


def covered_overlaps(
    objects: np.ndarray, proposals: np.ndarray, scores: np.ndarray, limits: Sequence[int], *, inclusive: bool = False
) -> np.ndarray:
    """Return how well the best proposals of an image cover each object, (M, G) float64.

    The pair with the highest IoU is taken first, then the next of what is left, so that a proposal covers one object.

    Args:
        objects: (G, 4) `xyxy`.
        proposals: (P, 4) `xyxy`.
        scores: (P,).
        limits: How many of the best proposals count, M numbers.
        inclusive: As of `overlaps`.
    """
    best = np.argsort(-scores, kind="stable")[: max(limits)]
    ious = overlaps(proposals[best], objects, inclusive=inclusive)
    return np.stack([_taken_in_turn(ious[:limit].copy()) for limit in limits])


def _taken_in_turn(ious: np.ndarray) -> np.ndarray:
    """Return the overlap of each object (G,), pairs of (P, G) being taken from the highest down; changes its input."""
    covered = np.zeros(ious.shape[1])
    for _ in range(min(ious.shape)):
        proposal, one = divmod(int(ious.argmax()), ious.shape[1])
        covered[one] = ious[proposal, one]
        ious[proposal, :] = -1
        ious[:, one] = -1
    return covered


def recalls(covered: Iterable[np.ndarray], iou_thrs: Sequence[float]) -> np.ndarray:
    """Return the share of objects that are covered, (M, T); 0 where there is no object.

    Args:
        covered: What `covered_overlaps` gives, (M, G), of each image.
        iou_thrs: T thresholds.
    """
    found = list(covered)
    joined = np.concatenate(found, axis=1) if found else np.zeros((1, 0))
    hits = joined[:, :, None] >= np.asarray(iou_thrs)
    return hits.sum(axis=1) / max(joined.shape[1], 1)

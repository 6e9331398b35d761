"""How many objects proposals cover, whatever their class.

G: objects; P: proposals; M: limits on the proposals of an image; T: thresholds of IoU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from visuite.cv.ops import bbox_overlaps


def covered_overlaps(
    objects: np.ndarray, proposals: np.ndarray, scores: np.ndarray, limits: Sequence[int]
) -> np.ndarray:
    """Return how well the best proposals of an image cover each object, (M, G) float64.

    The pair with the highest IoU is taken first, then the next of what is left, so that a proposal covers one object.

    Args:
        objects: (G, 4) `xyxy`.
        proposals: (P, 4) `xyxy`.
        scores: (P,).
        limits: How many of the best proposals count, M numbers.
    """
    best = np.argsort(-scores, kind="stable")[: max(limits)]
    overlaps = bbox_overlaps(
        torch.from_numpy(proposals[best].astype(np.float64)), torch.from_numpy(objects.astype(np.float64))
    ).numpy()
    return np.stack([_taken_in_turn(overlaps[:limit].copy()) for limit in limits])


def _taken_in_turn(overlaps: np.ndarray) -> np.ndarray:
    """Return the overlap of each object (G,), pairs of (P, G) being taken from the highest down; changes its input."""
    covered = np.zeros(overlaps.shape[1])
    for _ in range(min(overlaps.shape)):
        proposal, one = divmod(int(overlaps.argmax()), overlaps.shape[1])
        covered[one] = overlaps[proposal, one]
        overlaps[proposal, :] = -1
        overlaps[:, one] = -1
    return covered


def recalls(overlaps: Iterable[np.ndarray], iou_thrs: Sequence[float]) -> np.ndarray:
    """Return the share of objects that are covered, (M, T); 0 where there is no object.

    Args:
        overlaps: (M, G) of each image.
        iou_thrs: T thresholds.
    """
    found = list(overlaps)
    joined = np.concatenate(found, axis=1) if found else np.zeros((1, 0))
    hits = joined[:, :, None] >= np.asarray(iou_thrs)
    return hits.sum(axis=1) / max(joined.shape[1], 1)

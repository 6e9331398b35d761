"""Choosing among the objects of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.moves import clip_to

#: The keys that hold one entry for each object.
OBJECT_KEYS = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_masks", "gt_keypoints", "gt_instances_ids")


def keep_objects(results: dict[str, Any], keep: np.ndarray) -> None:
    """Keep some of a sample's objects: their boxes, labels, flags, masks and keypoints together.

    Args:
        results: The sample.
        keep: (N,) bool, or the numbers of those that stay.
    """
    for key in OBJECT_KEYS:
        if results.get(key) is not None:
            results[key] = results[key][keep]


def drop_outside(results: dict[str, Any]) -> None:
    """Drop the objects of whose boxes nothing lies inside the image."""
    if "gt_bboxes" in results:
        boxes = clip_to(results["gt_bboxes"], results["img_shape"])
        keep_objects(results, (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def join_objects(results: dict[str, Any], others: Sequence[dict[str, Any]]) -> None:
    """Add the objects of other samples, whose images are of the same size, behind a sample's own.

    Raises:
        KeyError: another sample lacks what this one tells of its objects.
    """
    for key in OBJECT_KEYS:
        if results.get(key) is None:
            continue
        if any(other.get(key) is None for other in others):
            raise KeyError(f"an image whose objects are to be joined with others has no {key!r}: load all images alike")
        parts = [results[key], *(other[key] for other in others)]
        results[key] = np.concatenate(parts) if isinstance(parts[0], np.ndarray) else type(parts[0]).cat(parts)

"""Choosing among the objects of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

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

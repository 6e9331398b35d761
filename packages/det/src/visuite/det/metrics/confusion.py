"""What is taken for what, and what is missed or made up.

N: detections; G: objects; K: classes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from visuite.cv.ops import bbox_overlaps
from visuite.det.metrics.image_results import Found, Wanted
from visuite.det.metrics.matching import overlaps


def confusion_matrix(
    images: Iterable[tuple[Found, Wanted]], num_classes: int, *, score_thr: float = 0.3, iou_thr: float = 0.5
) -> np.ndarray:
    """Count the objects of each class (row) that are detected as each class (column), (K + 1, K + 1) int64.

    The last row and column are the background: what was detected where nothing is, and objects that were not detected.
    Detections and objects are paired one to one where they overlap enough, those of one class before others, and then
    the higher overlap first. Detections that are left, and lie mostly in an ignored object, do not count.

    Args:
        images: Detections and objects of each image.
        num_classes: K.
        score_thr: The least score of a detection.
        iou_thr: The least IoU of a pair, and the share of a detection that lies in an ignored object.

    Raises:
        ValueError: a label is not below K.
    """
    counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for found, wanted in images:
        sure = found.scores >= score_thr
        boxes, labels = found.boxes[sure], found.labels[sure]
        objects, classes = wanted.boxes[~wanted.ignored], wanted.labels[~wanted.ignored]
        largest = max(labels.max(initial=-1), classes.max(initial=-1))
        if largest >= num_classes:
            raise ValueError(f"there is the label {largest} among {num_classes} classes: is num_classes right?")
        pairs = pair_up(overlaps(boxes, objects), labels[:, None] == classes, iou_thr)
        np.add.at(counts, (classes[pairs[:, 1]], labels[pairs[:, 0]]), 1)
        left = np.setdiff1d(np.arange(len(boxes)), pairs[:, 0])
        left = left[~_inside(boxes[left], wanted.boxes[wanted.ignored], iou_thr)]
        np.add.at(counts, (num_classes, labels[left]), 1)
        missed = np.setdiff1d(np.arange(len(objects)), pairs[:, 1])
        np.add.at(counts, (classes[missed], num_classes), 1)
    return counts


def pair_up(ious: np.ndarray, alike: np.ndarray, iou_thr: float) -> np.ndarray:
    """Pair detections with objects one to one, and return the places of both, (P, 2) int64.

    Args:
        ious: (N, G).
        alike: Whether both are of one class, (N, G) bool; such pairs are made first.
        iou_thr: The least IoU.
    """
    rows, columns = np.nonzero(ious >= iou_thr)
    order = np.lexsort((-ious[rows, columns], ~alike[rows, columns]))
    free_rows, free_columns = np.ones(len(ious), bool), np.ones(ious.shape[1], bool)
    pairs = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            pairs.append((row, column))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _inside(boxes: np.ndarray, ignored: np.ndarray, share: float) -> np.ndarray:
    """Tell which boxes (N, 4) lie with at least a share of their area in one of the ignored ones, (N,) bool."""
    if not len(ignored) or not len(boxes):
        return np.zeros(len(boxes), bool)
    covered = bbox_overlaps(torch.from_numpy(boxes.astype(np.float64)), torch.from_numpy(ignored), mode="iof")
    return (covered >= share).any(dim=1).numpy()

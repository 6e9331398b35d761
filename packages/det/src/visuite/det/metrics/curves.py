"""Precision over recall, class by class.

N: detections of a class.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from visuite.det.metrics.average_precision import average_precision, precision_recall
from visuite.det.metrics.image_results import Found, Wanted
from visuite.det.metrics.matching import IGNORED, TRUE, match_by_score, overlaps


class PrecisionRecall(NamedTuple):
    """How precision falls as recall rises, for one class.

    Attributes:
        recall, precision: After each detection, by falling score, (N,) in 0..1.
        scores: Of the detections, (N,).
        num_objects: How many there are to find.
        average_precision: The area under the curve, made falling.
    """

    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray
    num_objects: int
    average_precision: float

    def best_score(self) -> tuple[float, float]:
        """Return the score from which on detections give the highest F1, and that F1; (0, 0) without detections."""
        if not len(self.scores):
            return 0.0, 0.0
        both = np.maximum(self.precision + self.recall, 1e-12)
        f1 = 2 * self.precision * self.recall / both
        return float(self.scores[f1.argmax()]), float(f1.max())


def precision_recall_curves(
    images: Iterable[tuple[Found, Wanted]], num_classes: int, *, iou_thr: float = 0.5
) -> list[PrecisionRecall]:
    """Return the curve of each class.

    A detection has the object of its class that it overlaps most, if by enough; the second of an object is wrong, and
    what falls to an ignored object does not count.

    Args:
        images: Detections and objects of each image.
        num_classes: The number of classes.
        iou_thr: The least IoU.
    """
    scores: list[list[np.ndarray]] = [[np.zeros(0)] for _ in range(num_classes)]
    outcomes: list[list[np.ndarray]] = [[np.zeros(0, np.int8)] for _ in range(num_classes)]
    counts = np.zeros(num_classes, np.int64)
    for found, wanted in images:
        counts += np.bincount(wanted.labels[~wanted.ignored], minlength=num_classes)
        for label in np.unique(found.labels):
            mine, theirs = found.labels == label, wanted.labels == label
            order = np.argsort(-found.scores[mine], kind="stable")
            ious = overlaps(found.boxes[mine][order], wanted.boxes[theirs])
            scores[label].append(found.scores[mine][order])
            outcomes[label].append(match_by_score(ious, wanted.ignored[theirs], [iou_thr])[0])
    return [
        _curve(np.concatenate(scores[label]), np.concatenate(outcomes[label]), int(counts[label]))
        for label in range(num_classes)
    ]


def _curve(scores: np.ndarray, outcome: np.ndarray, num_objects: int) -> PrecisionRecall:
    order = np.argsort(-scores, kind="stable")
    order = order[outcome[order] != IGNORED]
    recall, precision = precision_recall(outcome[order] == TRUE, num_objects)
    return PrecisionRecall(recall, precision, scores[order], num_objects, average_precision(recall, precision))

"""COCO's numbers out of the tables of an evaluation.

The axes are those of `coco_evaluation`: T thresholds, R recalls, K classes, A areas, M limits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visuite.det.metrics.coco_evaluation import AREAS, Tables

#: Names of average precisions: at which IoU (None: the mean over all thresholds), and for objects of which area.
PRECISIONS: dict[str, tuple[float | None, str]] = {
    "mAP": (None, "all"),
    "mAP_50": (0.5, "all"),
    "mAP_75": (0.75, "all"),
    "mAP_s": (None, "small"),
    "mAP_m": (None, "medium"),
    "mAP_l": (None, "large"),
}
#: A class, several, or all of them, along axis K.
Classes = int | slice | Sequence[int]
#: The limit that COCO's first number is taken at.
_LIMIT = 100


def precision_names(iou_thrs: Sequence[float]) -> list[str]:
    """Return the average precisions that some thresholds of IoU can give."""
    return [name for name, (iou, _) in PRECISIONS.items() if iou is None or _place(iou_thrs, iou) is not None]


def recall_names(max_dets: Sequence[int]) -> list[str]:
    """Return the average recalls that some limits can give: `AR@100`, and by area at the largest: `AR_s@1000`."""
    limits = sorted(max_dets)
    return [*(f"AR@{limit}" for limit in limits), *(f"AR_{area[0]}@{limits[-1]}" for area in AREAS[1:])]


def summarize(tables: Tables, *, iou_thrs: Sequence[float], max_dets: Sequence[int]) -> dict[str, float]:
    """Return average precisions and recalls by their names; -1 where there is nothing to find.

    As COCO has it, `mAP` counts the best 100 detections of an image (or as many as the largest limit, where 100 is none
    of them), the other precisions as many as the largest limit.

    Args:
        tables: Of the evaluation.
        iou_thrs: Its T thresholds.
        max_dets: Its M limits, rising.
    """
    found = precisions_of_classes(tables, slice(None), iou_thrs=iou_thrs)
    limit = list(max_dets).index(_LIMIT) if _LIMIT in max_dets else -1
    found["mAP"] = mean_of_known(tables.precision[:, :, :, 0, limit])
    for place, number in enumerate(max_dets):
        found[f"AR@{number}"] = mean_of_known(tables.recall[:, :, 0, place])
    for place, area in enumerate(AREAS[1:], 1):
        found[f"AR_{area[0]}@{max_dets[-1]}"] = mean_of_known(tables.recall[:, :, place, -1])
    return found


def precisions_of_classes(tables: Tables, classes: Classes, *, iou_thrs: Sequence[float]) -> dict[str, float]:
    """Return the average precisions of one class, or the means over several, at the largest limit."""
    found = {}
    for name in precision_names(iou_thrs):
        iou, area = PRECISIONS[name]
        rows = slice(None) if iou is None else _place(iou_thrs, iou)
        found[name] = mean_of_known(tables.precision[:, :, :, AREAS.index(area), -1][rows][..., classes])
    return found


def _place(iou_thrs: Sequence[float], iou: float) -> int | None:
    found = np.flatnonzero(np.isclose(iou_thrs, iou))
    return int(found[0]) if len(found) else None


def mean_of_known(values: np.ndarray) -> float:
    """Return the mean of those numbers that are not -1, or -1 where there is none."""
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0

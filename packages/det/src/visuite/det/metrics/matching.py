"""Which detection has found which object.

N: detections; G: objects; T: thresholds of IoU.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from visuite.cv.ops import bbox_overlaps

#: What becomes of a detection.
FALSE, TRUE, IGNORED = 0, 1, -1
#: The pixels that a box of whole pixel numbers reaches beyond its last corner.
_LAST_PIXEL = np.array([0, 0, 1, 1], np.float64)


def overlaps(boxes: np.ndarray, others: np.ndarray, *, inclusive: bool = False) -> np.ndarray:
    """Return the IoU of boxes `xyxy` (N, 4) with others (G, 4), (N, G) float64.

    Args:
        boxes: The boxes.
        others: The others.
        inclusive: Whether corners name the last pixel inside, as those of Pascal VOC do: a box is a pixel larger.
    """
    grown = _LAST_PIXEL if inclusive else 0
    first, second = (torch.from_numpy(one.astype(np.float64) + grown).reshape(-1, 4) for one in (boxes, others))
    return bbox_overlaps(first, second).numpy()


def match_by_score(ious: np.ndarray, ignored: np.ndarray, iou_thrs: Sequence[float]) -> np.ndarray:
    """Match as Pascal VOC does: each detection, best first, has the object that it overlaps most, or nothing.

    Args:
        ious: (N, G), the detections by falling score.
        ignored: Objects that need not be found, (G,) bool; what falls to them is neither right nor wrong.
        iou_thrs: The least IoU, T numbers.

    Returns:
        TRUE, FALSE or IGNORED for each threshold and detection, (T, N) int8. An object's second detection is false.
    """
    outcome = np.zeros((len(iou_thrs), len(ious)), np.int8)
    if not ious.size:
        return outcome
    best = ious.argmax(axis=1)
    highest = ious[np.arange(len(ious)), best]
    for row, least in enumerate(iou_thrs):
        reached = highest >= least
        outcome[row, reached & ignored[best]] = IGNORED
        takers = np.flatnonzero(reached & ~ignored[best])
        _, first = np.unique(best[takers], return_index=True)
        outcome[row, takers[first]] = TRUE
    return outcome

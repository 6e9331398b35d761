"""What does not become a training target: found, counted for each class, and told or refused.

N: boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from visuite.engine.utils.table import text_table

OnBadBoxes = Literal["drop", "clip", "error"]

#: Faults of a box, most serious first; code k of `box_faults` is the k-th, 0 is a box without fault.
FAULTS = ("", "not a number", "inside out", "under a pixel wide or high", "outside the image", "over the image's edge")
_NAN, _INSIDE_OUT, _THIN, _OUTSIDE, _OVER_EDGE = range(1, 6)
#: By how many pixels a box may reach over the edge: annotations are rounded.
_TOLERANCE = 1.0
#: Lines of a report that are shown; the rest are summed up.
_MOST_LINES = 40


def box_faults(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the most serious fault of each box as its place in `FAULTS`, (N,) int64.

    Args:
        boxes: (N, 4) `xyxy` in pixels.
        sizes: (N, 2) width and height of the image around each.
    """
    left, top, right, bottom = boxes.T
    width, height = sizes.T
    beyond = np.maximum.reduce([-left, -top, right - width, bottom - height], initial=-np.inf)
    found = np.where(beyond > _TOLERANCE, _OVER_EDGE, 0)
    outside = np.minimum(right, width) <= np.maximum(left, 0)
    outside |= np.minimum(bottom, height) <= np.maximum(top, 0)
    found[outside] = _OUTSIDE
    found[(right - left < 1) | (bottom - top < 1)] = _THIN
    found[(right < left) | (bottom < top)] = _INSIDE_OUT
    found[~np.isfinite(boxes).all(axis=1)] = _NAN
    return found


def screen_boxes(boxes: np.ndarray, sizes: np.ndarray, policy: OnBadBoxes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decide over boxes.

    Args:
        boxes: (N, 4) `xyxy`.
        sizes: (N, 2) width and height of the image around each.
        policy: `drop` takes out boxes that cannot be learned from and leaves those over an edge as they are; `clip`
            cuts boxes to their image first; `error` counts boxes over an edge among the bad ones.

    Returns:
        The boxes (N, 4), cut where asked to; the fault of each (N,); and which are bad, (N,) bool.
    """
    faults = box_faults(boxes, sizes)
    if policy == "clip":
        cut = np.clip(boxes, 0, np.tile(sizes, 2))
        cut = np.where(((faults == _OVER_EDGE) | (faults == 0))[:, None], cut, boxes)
        thin = (faults == _OVER_EDGE) & (box_faults(cut, sizes) != 0)
        return cut, faults, ((faults != 0) & (faults != _OVER_EDGE)) | thin
    return boxes, faults, (faults != 0) & ((faults != _OVER_EDGE) | (policy == "error"))


@dataclass
class LeftOut:
    """One line of a report.

    Attributes:
        count: How many.
        example: Where the first one is.
        wanted: Whether the config asked for it.
    """

    count: int = 0
    example: str = ""
    wanted: bool = False


class Screening:
    """What a data set leaves out, by reason and class.

    Args:
        source: Names the data set.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.entries: dict[tuple[str, str], LeftOut] = {}

    def __bool__(self) -> bool:
        return bool(self.entries)

    def add(self, reason: str, kind: str = "", *, example: str = "", count: int = 1, wanted: bool = False) -> None:
        """Count something left out.

        Args:
            reason: Why.
            kind: The class, where it has one.
            example: Where it is; the first one of its reason and class is kept.
            count: How many.
            wanted: Whether the config asks for it; else it is a fault of the data.
        """
        entry = self.entries.setdefault((reason, kind), LeftOut(example=example, wanted=wanted))
        entry.count += count

    def faults(self) -> dict[tuple[str, str], LeftOut]:
        """Return what nobody asked to leave out, by reason and class."""
        return {key: entry for key, entry in self.entries.items() if not entry.wanted}

    def count(self, reason: str) -> int:
        """Return how many were left out for a reason, whatever the class."""
        return sum(entry.count for (why, _), entry in self.entries.items() if why == reason)

    def table(self) -> str:
        """Lay out what was left out."""
        found = list(self.entries.items())
        rows = [("why", "class", "count", "the first")]
        rows += [(why, kind or "-", f"{entry.count:,}", entry.example) for (why, kind), entry in found[:_MOST_LINES]]
        if rest := found[_MOST_LINES:]:
            total = sum(entry.count for _, entry in rest)
            rows.append((f"{len(rest)} more lines", "-", f"{total:,}", ""))
        return text_table(rows, right={2})

"""Precision over recall, and the area under it.

N: detections of a class, by falling score; P: points of a curve.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from visuite.engine.utils.text import did_you_mean

EvalMode = Literal["area", "11points"]


def precision_recall(hits: np.ndarray, num_objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision after each detection, both (N,) float64; recall is 0 where there is no object.

    Args:
        hits: Whether a detection has found an object, (N,) bool.
        num_objects: How many there are to find.
    """
    found = np.cumsum(hits, dtype=np.float64)
    return found / max(num_objects, 1), found / np.arange(1, len(hits) + 1)


def average_precision(recall: np.ndarray, precision: np.ndarray, mode: EvalMode = "area") -> float:
    """Return the area under a curve, made falling by the highest precision at each recall or above.

    Args:
        recall: (P,), rising.
        precision: (P,).
        mode: `area`: the exact area, as in Pascal VOC from 2010 on. `11points`: the mean of the curve at the recalls 0,
            0.1, ..., 1, as in VOC 2007.

    Raises:
        ValueError: an unknown mode.
    """
    check_eval_mode(mode)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    if mode == "11points":
        places = np.searchsorted(recall, np.linspace(0, 1, 11) - 1e-12)  # 0.1 * 3 is not 0.3
        return float(np.append(highest, 0.0)[places].mean())
    return float((np.diff(recall, prepend=0.0) * highest).sum())


def check_eval_mode(mode: str) -> None:
    """Raise a ValueError where a mode of averaging is unknown."""
    known = get_args(EvalMode)
    if mode not in known:
        raise ValueError(f"eval_mode is one of {list(known)}, not {mode!r}{did_you_mean(mode, known)}")

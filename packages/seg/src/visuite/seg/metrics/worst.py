"""The images that a model does worst on."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from visuite.cv.image import imread
from visuite.engine.hooks.visualization import save_png
from visuite.seg.visualizer import SegLocalVisualizer


@dataclass(order=True)
class Case:
    """One image with its truth and prediction.

    Attributes:
        badness: 1 less the mean IoU of the classes that are in the truth or the prediction.
        img_path: The image's file.
        truth: (H, W).
        prediction: (H, W).
    """

    badness: float
    img_path: str
    truth: np.ndarray = field(compare=False, repr=False)
    prediction: np.ndarray = field(compare=False, repr=False)


class WorstCases:
    """Keeps the worst of the cases that it is given, and no more.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[Case] = []

    def add(self, case: Case) -> None:
        """Take a case, if it is among the worst so far."""
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, case)
        elif self.most:
            heapq.heappushpop(self._heap, case)

    def take(self) -> list[Case]:
        """Return the cases, the worst first, and forget them."""
        cases, self._heap = sorted(self._heap, reverse=True), []
        return cases


def draw_cases(cases: Iterable[Case], folder: Path, dataset_meta: dict[str, Any] | None) -> list[Path]:
    """Draw cases with their truth to the left of the prediction; return the files, `worst_01_<name>.png`, ..."""
    visualizer = SegLocalVisualizer()
    visualizer.dataset_meta = dataset_meta
    files = []
    for number, case in enumerate(cases, 1):
        image = imread(case.img_path, channel_order="rgb")
        file = folder / f"worst_{number:02d}_{Path(case.img_path).stem}.png"
        save_png(visualizer.side_by_side(image, [case.truth, case.prediction]), file)
        files.append(file)
    return files

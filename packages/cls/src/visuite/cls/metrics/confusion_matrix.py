"""Which class is taken for which.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch

from visuite.cls.metrics.accuracy import single_label
from visuite.cls.metrics.counting import scores_or_labels
from visuite.cls.registry import METRICS
from visuite.cv.image import imwrite
from visuite.engine.evaluator import BaseMetric
from visuite.engine.utils.text import did_you_mean

_FONT = cv2.FONT_HERSHEY_SIMPLEX
#: Pixels for one character of a label.
_CHARACTER = 8


@METRICS.register_module()
class ConfusionMatrix(BaseMetric):
    """The number of images of each true class (row) that are said to be of each class (column).

    The result is `confusion_matrix/result`, a tensor (K, K) long.

    Args:
        num_classes: K, needed where predictions are classes without scores.
        out_file: Where to draw the matrix as a PNG.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `confusion_matrix`.
    """

    default_prefix: str | None = "confusion_matrix"

    def __init__(
        self,
        num_classes: int | None = None,
        out_file: str | None = None,
        *,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.num_classes = num_classes
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the truth and the predicted class of each image of a batch."""
        for sample in data_samples:
            found = scores_or_labels(sample)
            if "pred_score" in found:
                self.num_classes = self.num_classes or len(found["pred_score"])
                found = {"pred_label": found["pred_score"].argmax().reshape(1)}
            self.results.append({"gt_label": single_label(sample), **found})

    def compute_metrics(self, results: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Return the matrix as `result`, and draw it where asked to."""
        matrix = self.calculate(
            torch.cat([one["pred_label"] for one in results]),
            torch.cat([one["gt_label"] for one in results]),
            self.num_classes,
        )
        if self.out_file is not None:
            imwrite(self.plot(matrix, classes=(self.dataset_meta or {}).get("classes")), self.out_file)
        return {"result": matrix}

    @staticmethod
    def calculate(
        pred: torch.Tensor | Sequence[Any], target: torch.Tensor | Sequence[int], num_classes: int | None = None
    ) -> torch.Tensor:
        """Return the matrix (K, K) long.

        Args:
            pred: Scores (N, K), or classes (N,).
            target: Classes (N,).
            num_classes: K, where `pred` are classes.

        Raises:
            ValueError: the lengths differ, K is not known, or a class is not below it.
        """
        pred, target = torch.as_tensor(pred), torch.as_tensor(target).long()
        if pred.ndim == 2:
            num_classes, pred = pred.shape[1], pred.argmax(dim=1)
        if num_classes is None:
            raise ValueError("predictions without scores need num_classes")
        if len(pred) != len(target):
            raise ValueError(f"{len(pred)} predictions for {len(target)} targets")
        largest = int(torch.cat([pred.long(), target, torch.zeros(1, dtype=torch.long)]).max())
        if largest >= num_classes:
            raise ValueError(f"class {largest} among {num_classes}: is num_classes right?")
        counts = torch.bincount(target * num_classes + pred.long(), minlength=num_classes**2)
        return counts.reshape(num_classes, num_classes)

    @staticmethod
    def plot(
        confusion_matrix: torch.Tensor | np.ndarray,
        include_values: bool = False,
        *,
        cmap: str = "viridis",
        classes: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Draw a matrix (K, K), rows coloured by their shares, as a BGR image.

        Args:
            confusion_matrix: The matrix.
            include_values: Write the numbers into the cells.
            cmap: A colour map of OpenCV: `viridis`, `inferno`, `jet`, ...
            classes: Names of the classes; by default their numbers.

        Raises:
            ValueError: an unknown colour map.
        """
        counts = np.asarray(confusion_matrix)
        names = list(classes) if classes is not None else [str(i) for i in range(len(counts))]
        edge = max(6, min(48, 960 // len(counts))) if not include_values else 48
        margin = _CHARACTER * min(max(map(len, names)), 20) + 12 if edge >= 12 else 12
        cells = np.kron(_colours(counts, cmap), np.ones((edge, edge, 1), np.uint8))
        canvas = np.full((cells.shape[0] + margin, cells.shape[1] + margin, 3), 255, np.uint8)
        canvas[:-margin, margin:] = cells
        if edge >= 12:
            _write_names(canvas, names, edge, margin)
        if include_values:
            for row, column in np.ndindex(*counts.shape):
                place = (margin + column * edge + 4, row * edge + edge // 2 + 4)
                cv2.putText(canvas, str(counts[row, column]), place, _FONT, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
        return canvas


def _colours(counts: np.ndarray, cmap: str) -> np.ndarray:
    """Return a pixel (K, K, 3) for each cell."""
    known = {name.removeprefix("COLORMAP_").lower(): name for name in dir(cv2) if name.startswith("COLORMAP_")}
    if cmap not in known:
        raise ValueError(f"OpenCV has no colour map {cmap!r}{did_you_mean(cmap, known)}")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return cv2.applyColorMap((255 * shares).astype(np.uint8), getattr(cv2, known[cmap])).reshape(*counts.shape, 3)


def _write_names(canvas: np.ndarray, names: Sequence[str], edge: int, margin: int) -> None:
    """Write names left of the rows, and turned by 90 degrees below the columns."""
    for index, name in enumerate(names):
        label = np.full((edge, margin, 3), 255, np.uint8)
        cv2.putText(label, name[:20], (4, edge // 2 + 4), _FONT, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        canvas[index * edge : (index + 1) * edge, :margin] = label
        canvas[-margin:, margin + index * edge : margin + (index + 1) * edge] = np.rot90(label, -1)

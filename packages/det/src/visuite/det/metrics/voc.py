"""Precision and recall as Pascal VOC defines them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from visuite.det.metrics.average_precision import EvalMode, average_precision, check_eval_mode, precision_recall
from visuite.det.metrics.image_results import Found, Wanted, detections_of, objects_of
from visuite.det.metrics.matching import IGNORED, TRUE, match_by_score, overlaps
from visuite.det.metrics.proposal_recall import covered_overlaps, recalls
from visuite.det.registry import METRICS
from visuite.engine.evaluator import BaseMetric
from visuite.engine.logging import print_log
from visuite.engine.utils.table import text_table
from visuite.engine.utils.text import did_you_mean

KINDS = ("mAP", "recall")


class ImageOutcome(NamedTuple):
    """What became of the detections in an image of N detections, and how many objects there were.

    Attributes:
        labels, scores: (N,), by falling score.
        outcome: TRUE, FALSE or IGNORED at each of T thresholds, (T, N) int8.
        objects: The labels of the objects that were to be found, (G,).
        covered: How well proposals cover each of them at each of M limits, (M, G).
    """

    labels: np.ndarray
    scores: np.ndarray
    outcome: np.ndarray
    objects: np.ndarray
    covered: np.ndarray


@METRICS.register_module()
class VOCMetric(BaseMetric):
    """Mean average precision, or recall, of Pascal VOC, Everingham et al., IJCV 2010.

    Boxes are a pixel larger than the difference of their corners, as in the official program, and difficult objects
    need not be found. Results are `pascal_voc/mAP`, the mean over thresholds, and `pascal_voc/AP50`, ... of each; or
    `pascal_voc/recall@100@0.5`, ... and, over several thresholds, `pascal_voc/AR@100`, .... Classes without objects do
    not count. The objects come from the data samples; an image is matched when it comes, and no box of it is kept.

    Args:
        iou_thrs: Thresholds of IoU.
        metric: `mAP` or `recall`.
        proposal_nums: For recall, limits on the detections in an image.
        eval_mode: `11points`, as VOC 2007 is measured, or `area`, as VOC 2012 is.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `pascal_voc`.

    Raises:
        ValueError: an unknown metric or mode.
    """

    default_prefix: str | None = "pascal_voc"

    def __init__(
        self,
        iou_thrs: float | Sequence[float] = 0.5,
        metric: str | Sequence[str] = "mAP",
        *,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        eval_mode: EvalMode = "11points",
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        kinds = [metric] if isinstance(metric, str) else list(metric)
        if len(kinds) != 1 or kinds[0] not in KINDS:
            hint = did_you_mean(str(kinds[0]), KINDS) if kinds else ""
            raise ValueError(f"VOCMetric has one metric of {list(KINDS)}, not {metric!r}{hint}")
        check_eval_mode(eval_mode)
        self.metric: str = kinds[0]
        self.iou_thrs = [float(one) for one in np.atleast_1d(np.asarray(iou_thrs, np.float64))]
        self.proposal_nums = sorted(proposal_nums)
        self.eval_mode = eval_mode

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Match the detections of a batch.

        Raises:
            KeyError: a sample lacks a field.
        """
        for sample in data_samples:
            self.results.append(self._match(detections_of(sample), objects_of(sample)))

    def compute_metrics(self, results: list[ImageOutcome]) -> dict[str, float]:
        """Return the numbers."""
        return self._mean_precision(results) if self.metric == "mAP" else self._recall(results)

    def _match(self, found: Found, wanted: Wanted) -> ImageOutcome:
        order = np.argsort(-found.scores, kind="stable")
        labels, boxes = found.labels[order], found.boxes[order]
        outcome = np.zeros((len(self.iou_thrs), len(order)), np.int8)
        ious = overlaps(boxes, wanted.boxes, inclusive=True)
        for label in np.unique(labels):
            rows, columns = labels == label, wanted.labels == label
            outcome[:, rows] = match_by_score(ious[rows][:, columns], wanted.ignored[columns], self.iou_thrs)
        counted = wanted.boxes[~wanted.ignored]
        covered = np.zeros((len(self.proposal_nums), len(counted)))
        if self.metric == "recall":
            covered = covered_overlaps(counted, boxes, found.scores[order], self.proposal_nums, inclusive=True)
        return ImageOutcome(labels, found.scores[order], outcome, wanted.labels[~wanted.ignored], covered)

    def _mean_precision(self, results: Sequence[ImageOutcome]) -> dict[str, float]:
        if not results:
            return {}
        labels, scores, objects = (
            np.concatenate([getattr(one, name) for one in results]) for name in ("labels", "scores", "objects")
        )
        classes = self._classes(int(max(labels.max(initial=-1), objects.max(initial=-1))) + 1)
        counts = np.bincount(objects, minlength=len(classes))
        order = np.lexsort((-scores, labels))
        outcome = np.concatenate([one.outcome for one in results], axis=1)[:, order]
        bounds = np.searchsorted(labels[order], np.arange(1, len(classes)))
        table = np.array([
            [self._precision(*one) for one in zip(np.split(row, bounds), counts, strict=True)] for row in outcome
        ])  # fmt: skip
        there = counts > 0
        means = table[:, there].mean(axis=1) if there.any() else np.zeros(len(table))
        self._tell(classes, counts, table, means)
        named = {"mAP": float(means.mean())}
        return named | {f"AP{round(thr * 100):02d}": float(one) for thr, one in zip(self.iou_thrs, means, strict=True)}

    def _precision(self, outcome: np.ndarray, num_objects: int) -> float:
        """Return the average precision of a class, from the outcome of its detections by falling score."""
        recall, precision = precision_recall(outcome[outcome != IGNORED] == TRUE, num_objects)
        return average_precision(recall, precision, self.eval_mode)

    def _recall(self, results: Sequence[ImageOutcome]) -> dict[str, float]:
        found = recalls((one.covered for one in results), self.iou_thrs)
        named = {}
        for number, row in zip(self.proposal_nums, found, strict=False):
            for threshold, value in zip(self.iou_thrs, row, strict=True):
                named[f"recall@{number}@{threshold:g}"] = float(value)
            if len(self.iou_thrs) > 1:
                named[f"AR@{number}"] = float(row.mean())
        return named

    def _classes(self, least: int) -> list[str]:
        """Return the names of the classes, or their numbers where there are none."""
        names = list((self.dataset_meta or {}).get("classes") or [str(label) for label in range(least)])
        if len(names) < least:
            raise ValueError(f"there is the label {least - 1} among {len(names)} classes: is num_classes right?")
        year = (self.dataset_meta or {}).get("dataset_type")
        if year == "VOC2007" and self.eval_mode != "11points":
            told = "VOC 2007 is measured with eval_mode='11points'; the numbers are not those of others"
            print_log(told, "current", level=logging.WARNING)
        return names

    def _tell(self, classes: Sequence[str], counts: np.ndarray, table: np.ndarray, means: np.ndarray) -> None:
        titles = [f"AP{round(threshold * 100):02d}" for threshold in self.iou_thrs]
        rows = [("class", "objects", *titles)]
        for label, name in enumerate(classes):
            numbers = (f"{100 * value:.1f}" if counts[label] else "-" for value in table[:, label])
            rows.append((name, str(counts[label]), *numbers))
        rows.append(("mean", str(counts.sum()), *(f"{100 * value:.1f}" for value in means)))
        print_log(f"{self.eval_mode} in percent\n{text_table(rows, right=range(1, len(rows[0])))}", "current")

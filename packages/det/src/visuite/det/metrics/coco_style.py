"""What the metrics over files in the format of COCO share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from visuite.det.metrics.coco_truth import (
    ImageEntry,
    Truth,
    check_images,
    entry_of,
    read_truth,
    truth_of_samples,
    write_results,
)
from visuite.engine.evaluator import BaseMetric
from visuite.engine.fileio import isfile
from visuite.engine.logging import print_log
from visuite.engine.utils.garbage import collector_paused
from visuite.engine.utils.table import text_table
from visuite.engine.utils.text import did_you_mean


class CocoStyleMetric(BaseMetric):
    """Keeps an image as a few flat arrays, and compares all of them with the objects of a file, or of the samples.

    A subclass names its metrics in `kinds`, and measures one of them in `measure`.

    Args:
        ann_file: The file with the objects; without it they come from the data samples.
        metric: Some of `kinds`.
        classwise: Also tell the precision of each class.
        iou_thrs: Thresholds of IoU; by default 0.5, 0.55, ..., 0.95.
        format_only: Write the results and measure nothing.
        outfile_prefix: Where to write results.
        backend_args: How `ann_file` is read.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of the metric's own.

    Raises:
        ValueError: an unknown metric, or `format_only` without a place to write to.
        FileNotFoundError: there is no `ann_file`.
    """

    kinds: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        ann_file: str | None,
        metric: str | Sequence[str],
        *,
        classwise: bool,
        iou_thrs: float | Sequence[float] | None,
        format_only: bool,
        outfile_prefix: str | None,
        backend_args: Mapping[str, Any] | None,
        collect_device: str,
        prefix: str | None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        name = type(self).__name__
        self.metrics = [metric] if isinstance(metric, str) else list(metric)
        for kind in self.metrics:
            if kind not in self.kinds:
                hint = did_you_mean(kind, self.kinds)
                raise ValueError(f"{name} has no metric {kind!r}{hint} (it has {list(self.kinds)})")
        if format_only and outfile_prefix is None:
            raise ValueError(f"{name} with format_only writes its results, and needs outfile_prefix")
        if ann_file is not None and not isfile(ann_file, backend_args):
            raise FileNotFoundError(f"there is no ann_file {ann_file!r} for {name}")
        self.ann_file = ann_file
        self.classwise = classwise
        thresholds = np.linspace(0.5, 0.95, 10) if iou_thrs is None else np.atleast_1d(np.asarray(iou_thrs, np.float64))
        self.iou_thrs: list[float] = thresholds.tolist()
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.backend_args = backend_args
        self._truth: Truth | None = None

    @abstractmethod
    def measure(self, kind: str, results: Sequence[ImageEntry], truth: Truth) -> dict[str, float]:
        """Return the numbers of one metric by their names, and print them."""

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep detections, and objects where no file has them, of a batch.

        Raises:
            KeyError: a sample lacks a field.
        """
        with_masks, with_truth = "segm" in self.metrics, self.ann_file is None
        self.results.extend(entry_of(one, with_masks=with_masks, with_truth=with_truth) for one in data_samples)

    def compute_metrics(self, results: list[ImageEntry]) -> dict[str, float]:
        """Return the numbers, each metric's in turn."""
        classes = list((self.dataset_meta or {}).get("classes") or ())
        if self.ann_file is None:
            truth = truth_of_samples(results, classes)
        else:
            images = {one.image for one in results} if self.part_of_data else None
            if self._truth is None or images not in (None, self._truth.places.keys()):
                with collector_paused():
                    self._truth = read_truth(self.ann_file, classes, self.backend_args, images)
            truth = self._truth
        check_images(results, truth)
        if self.outfile_prefix is not None:
            write_results(results, truth, self.outfile_prefix)
        measured: dict[str, float] = {}
        for kind in () if self.format_only else self.metrics:
            measured.update(self.measure(kind, results, truth))
        return measured

    def named(
        self, kind: str, found: Mapping[str, float], classes: Sequence[str], of_class: Callable[[int], dict[str, float]]
    ) -> dict[str, float]:
        """Return and print numbers, with those of each class where they are asked for.

        Args:
            kind: The metric.
            found: Its numbers over all classes.
            classes: Their names.
            of_class: Gives the numbers of a label, the first of them its precision.
        """
        rows, named = {"all classes": found}, {f"{kind}_{name}": value for name, value in found.items()}
        if self.classwise:
            first = kind == self.metrics[0]  # a second metric may not take the names of the first
            for label, name in enumerate(classes):
                rows[name] = of_class(label)
                precision = next(iter(rows[name].values()))
                key = f"{name}_precision" if first else f"{kind}_{name}_precision"
                named[key] = precision if precision >= 0 else math.nan
        tell(kind, rows)
        return named


def tell(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print numbers in percent: a row for each class, or for all."""
    names = list(next(iter(rows.values())))
    lines = [(row, *(_percent(found.get(name, -1)) for name in names)) for row, found in rows.items()]
    table = text_table([("", *names), *lines], right=range(1, len(names) + 1))
    print_log(f"{title}, in percent\n{table}", "current")


def check_items(items: Sequence[str], known: Sequence[str], why: str) -> None:
    """Hold the numbers that a user asks for against those there are.

    Raises:
        ValueError: one of them is not among the known; says why.
    """
    for item in items:
        if item not in known:
            raise ValueError(f"metric_items has {item!r}, which {why}{did_you_mean(item, known)} (there are {known})")


def _percent(value: float) -> str:
    return "-" if value < 0 or math.isnan(value) else f"{100 * value:.1f}"

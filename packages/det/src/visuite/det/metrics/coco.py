"""Precision and recall as COCO defines them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visuite.det.datasets.coco_file import match_categories, read_coco
from visuite.det.metrics.coco_evaluation import choose_backend, evaluate_coco
from visuite.det.metrics.coco_summary import precision_names, precisions_of_classes, recall_names, summarize
from visuite.det.metrics.coco_truth import ImageEntry, Truth, check_images, in_columns, truth_of_file, truth_of_samples
from visuite.det.metrics.image_results import detections_of, objects_of, size_of
from visuite.det.metrics.proposal_recall import covered_overlaps, recalls
from visuite.det.registry import METRICS
from visuite.engine.analysis.table import text_table
from visuite.engine.evaluator import BaseMetric
from visuite.engine.fileio import dump, isfile
from visuite.engine.logging import print_log
from visuite.engine.utils.text import did_you_mean

KINDS = ("bbox", "segm", "proposal", "proposal_fast")


@METRICS.register_module()
class CocoMetric(BaseMetric):
    """Average precision and recall of boxes, masks or proposals, arXiv:1405.0312.

    The numbers are those of pycocotools, by whichever library is the fastest that is installed. Results are
    `coco/bbox_mAP`, `coco/bbox_mAP_50`, `_75`, `_s`, `_m`, `_l` in 0..1 (-1 where there is nothing to find),
    `coco/segm_mAP`, ... alike, and `coco/AR@100`, ... for proposals. An image is kept as a few flat arrays.

    Args:
        ann_file: The COCO file with the objects. Without it they come from the data samples: `instances`, or
            `gt_instances` and `ignored_instances`, in pixels of the file.
        metric: `bbox`, `segm`, `proposal` (recall whatever the class) or `proposal_fast` (recall where every proposal
            covers one object, and crowds do not count), or several.
        classwise: Also tell the precision of each class, as `coco/<class>_precision`; of the second metric, as
            `coco/segm_<class>_precision`. NaN where a class has no object.
        proposal_nums: Limits on the detections in an image.
        iou_thrs: Thresholds of IoU; by default 0.5, 0.55, ..., 0.95.
        metric_items: Which numbers to return: `mAP`, `mAP_50`, ..., `AR@100`, `AR_s@1000`, ...; by default all
            precisions, or for proposals all recalls.
        format_only: Write the results and measure nothing.
        outfile_prefix: Where to write results: `<prefix>.bbox.json` and `<prefix>.segm.json`.
        backend_args: How `ann_file` is read, as in `visuite.engine.fileio`.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `coco`.
        sort_categories: Accepted; categories are found by their names, whatever their order.
        use_mp_eval: Accepted; a faster library takes the place of more processes.
        backend: `auto`, `pycocotools`, `hotcoco` or `faster_coco_eval`.

    Raises:
        ValueError: an unknown metric, item or backend, or `format_only` without a place to write to.
        FileNotFoundError: there is no `ann_file`.
    """

    default_prefix: str | None = "coco"

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = "bbox",
        *,
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: Mapping[str, Any] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        sort_categories: bool = False,
        use_mp_eval: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.metrics = [metric] if isinstance(metric, str) else list(metric)
        for kind in self.metrics:
            if kind not in KINDS:
                raise ValueError(f"CocoMetric has no metric {kind!r}{did_you_mean(kind, KINDS)} (it has {list(KINDS)})")
        if format_only and outfile_prefix is None:
            raise ValueError("CocoMetric with format_only writes its results, and needs outfile_prefix")
        if ann_file is not None and not isfile(ann_file, backend_args):
            raise FileNotFoundError(f"there is no ann_file {ann_file!r} for CocoMetric")
        self.ann_file = ann_file
        self.backend_args = backend_args
        self.classwise = classwise
        self.proposal_nums = sorted(proposal_nums)
        self.iou_thrs = np.linspace(0.5, 0.95, 10) if iou_thrs is None else np.atleast_1d(np.asarray(iou_thrs, float))
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.backend = choose_backend(backend)
        self.metric_items = metric_items
        self._check_items()
        self._truth: Truth | None = None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep detections, and objects where no file has them, of a batch.

        Raises:
            KeyError: a sample lacks a field.
        """
        with_masks = "segm" in self.metrics
        for sample in data_samples:
            found = detections_of(sample, with_masks=with_masks)
            wanted = None if self.ann_file else objects_of(sample, with_masks=with_masks)
            size = None if self.ann_file else size_of(sample)
            self.results.append(ImageEntry(sample["img_id"], size, found, wanted))

    def compute_metrics(self, results: list[ImageEntry]) -> dict[str, float]:
        """Return the numbers, each metric's in turn."""
        truth = self._truth_from_file() if self.ann_file else truth_of_samples(results, self._classes())
        check_images(results, truth)
        if self.outfile_prefix is not None:
            self._write(results, truth, self.outfile_prefix)
        if self.format_only:
            return {}
        measured: dict[str, float] = {}
        for kind in self.metrics:
            measure = self._proposal_recall if kind == "proposal_fast" else self._evaluate
            measured.update(measure(kind, results, truth))
        return measured

    # ------------------------------------------------------------------ the truth

    def _truth_from_file(self) -> Truth:
        """Read the objects of the classes of the data set, once."""
        if self._truth is None:
            assert self.ann_file is not None
            file = read_coco(self.ann_file, self.backend_args)
            names = self._classes() or [str(one["name"]) for one in file.categories]
            labels, _ = match_categories(file, names, chosen=True, strict=False)
            if absent := [name for label, name in enumerate(names) if label not in labels.values()]:
                told = f"{self.ann_file} has no categories for {len(absent)} classes: {', '.join(absent[:5])}, ..."
                if len(absent) == len(names):
                    raise ValueError(f"{told} It has {[one['name'] for one in file.categories][:20]}")
                print_log(f"{told} They are not evaluated", "current", level=logging.WARNING)
            self._truth = truth_of_file(file, labels, names)
        return self._truth

    def _classes(self) -> list[str]:
        return list((self.dataset_meta or {}).get("classes") or ())

    # ------------------------------------------------------------------ numbers

    def _evaluate(self, kind: str, results: Sequence[ImageEntry], truth: Truth) -> dict[str, float]:
        iou_thrs = self.iou_thrs.tolist()
        tables = evaluate_coco(
            truth.coco,
            in_columns(results, truth, with_masks=kind == "segm"),
            iou_thrs=iou_thrs,
            max_dets=self.proposal_nums,
            use_classes=kind != "proposal",
            backend=self.backend,
        )
        summary = summarize(tables, iou_thrs=iou_thrs, max_dets=self.proposal_nums)
        if kind == "proposal":
            found = {name: summary[name] for name in self.metric_items or recall_names(self.proposal_nums)}
            self._tell(kind, {"": found})
            return found
        found = {name: summary[name] for name in self.metric_items or precision_names(iou_thrs)}
        rows, named = {"all classes": found}, {f"{kind}_{name}": value for name, value in found.items()}
        if self.classwise:
            first = kind == self.metrics[0]  # a second metric may not take the names of the first
            for label, name in enumerate(truth.names):
                rows[name] = precisions_of_classes(tables, label, iou_thrs=iou_thrs)
                precision = rows[name]["mAP"] if rows[name]["mAP"] >= 0 else math.nan
                named[f"{name}_precision" if first else f"{kind}_{name}_precision"] = precision
        self._tell(kind, rows)
        return named

    def _proposal_recall(self, kind: str, results: Sequence[ImageEntry], truth: Truth) -> dict[str, float]:
        objects: list[list[list[float]]] = [[] for _ in truth.coco.images]
        for one in truth.coco.annotations:
            if not one["iscrowd"]:
                objects[one["image_id"] - 1].append(one["bbox"])
        found = {truth.places[one.image]: one.found for one in results}
        overlaps = []
        for place, boxes in enumerate(objects):
            corners = np.array(boxes, np.float64).reshape(-1, 4)
            corners[:, 2:] += corners[:, :2]
            if place in found:
                own = found[place]
                overlaps.append(covered_overlaps(corners, own.boxes, own.scores, self.proposal_nums))
            else:
                overlaps.append(np.zeros((len(self.proposal_nums), len(corners))))
        measured = recalls(overlaps, self.iou_thrs.tolist()).mean(axis=1)
        named = {f"AR@{number}": float(value) for number, value in zip(self.proposal_nums, measured, strict=True)}
        self._tell(kind, {"": named})
        return named

    def _tell(self, kind: str, rows: Mapping[str, Mapping[str, float]]) -> None:
        """Print numbers in percent: a row for each class, or for all."""
        names = list(next(iter(rows.values())))
        lines = [(row, *(_percent(found.get(name, -1)) for name in names)) for row, found in rows.items()]
        table = text_table([("", *names), *lines], right=range(1, len(names) + 1))
        print_log(f"{kind} in percent, by {self.backend}\n{table}", "current")

    def _check_items(self) -> None:
        known = [*precision_names(self.iou_thrs.tolist()), *recall_names(self.proposal_nums)]
        for item in self.metric_items or ():
            if item not in known:
                raise ValueError(
                    f"metric_items has {item!r}, which {self.proposal_nums} detections and IoU of "
                    f"{self.iou_thrs.round(3).tolist()} do not give{did_you_mean(item, known)} (there are {known})"
                )

    # ------------------------------------------------------------------ files

    def _write(self, results: Sequence[ImageEntry], truth: Truth, prefix: str) -> None:
        """Write the detections with the ids of the annotation file, one JSON file for boxes and one for masks."""
        boxes, masks = [], []
        for entry in results:
            found = entry.found
            corners = found.boxes.astype(np.float64)
            corners[:, 2:] -= corners[:, :2]
            scores = found.scores if found.mask_scores is None else found.mask_scores
            rles = found.masks.to_rles() if found.masks is not None else []
            for index, (box, label) in enumerate(zip(corners.tolist(), found.labels.tolist(), strict=True)):
                if truth.category_ids[label] is None:
                    continue
                one = {"image_id": entry.image, "category_id": truth.category_ids[label], "bbox": box}
                boxes.append({**one, "score": float(found.scores[index])})
                if rles:
                    mask = {"size": list(rles[index]["size"]), "counts": rles[index]["counts"].decode()}
                    masks.append({**one, "score": float(scores[index]), "segmentation": mask})
        dump(boxes, f"{prefix}.bbox.json")
        if "segm" in self.metrics:
            dump(masks, f"{prefix}.segm.json")
        print_log(f"{len(boxes)} detections are written to {prefix}.*.json", "current")


def _percent(value: float) -> str:
    return "-" if value < 0 or math.isnan(value) else f"{100 * value:.1f}"

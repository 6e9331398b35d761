"""Precision and recall as COCO defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from visuite.det.metrics.coco_evaluation import choose_backend, evaluate_coco
from visuite.det.metrics.coco_style import CocoStyleMetric, check_items, tell
from visuite.det.metrics.coco_summary import precision_names, precisions_of_classes, recall_names, summarize
from visuite.det.metrics.coco_truth import ImageEntry, Truth, in_columns
from visuite.det.metrics.proposal_recall import covered_overlaps, recalls
from visuite.det.registry import METRICS


@METRICS.register_module()
class CocoMetric(CocoStyleMetric):
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
    kinds: ClassVar[tuple[str, ...]] = ("bbox", "segm", "proposal", "proposal_fast")

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
        super().__init__(
            ann_file,
            metric,
            classwise=classwise,
            iou_thrs=iou_thrs,
            format_only=format_only,
            outfile_prefix=outfile_prefix,
            backend_args=backend_args,
            collect_device=collect_device,
            prefix=prefix,
        )
        self.proposal_nums = sorted(proposal_nums)
        known = [*precision_names(self.iou_thrs), *recall_names(self.proposal_nums)]
        thresholds = np.round(self.iou_thrs, 3).tolist()
        check_items(metric_items or (), known, f"{self.proposal_nums} detections and IoU of {thresholds} do not give")
        self.metric_items = metric_items
        self.backend = choose_backend(backend)

    def measure(self, kind: str, results: Sequence[ImageEntry], truth: Truth) -> dict[str, float]:
        """Return precisions of boxes or masks, or recalls of proposals."""
        if kind == "proposal_fast":
            return self._fast_recall(results, truth)
        tables = evaluate_coco(
            truth.coco,
            in_columns(results, truth, with_masks=kind == "segm"),
            iou_thrs=self.iou_thrs,
            max_dets=self.proposal_nums,
            use_classes=kind != "proposal",
            backend=self.backend,
        )
        summary = summarize(tables, iou_thrs=self.iou_thrs, max_dets=self.proposal_nums)
        if kind == "proposal":
            recall = {name: summary[name] for name in self.metric_items or recall_names(self.proposal_nums)}
            tell(kind, {"": recall})
            return recall
        found = {name: summary[name] for name in self.metric_items or precision_names(self.iou_thrs)}
        return self.named(
            kind, found, truth.names, lambda label: precisions_of_classes(tables, label, iou_thrs=self.iou_thrs)
        )

    def _fast_recall(self, results: Sequence[ImageEntry], truth: Truth) -> dict[str, float]:
        """Return the share of objects that are covered, each by a proposal of its own."""
        objects: list[list[list[float]]] = [[] for _ in truth.coco.images]
        for one in truth.coco.annotations:
            if not one["iscrowd"]:
                objects[one["image_id"] - 1].append(one["bbox"])
        found = {truth.places[one.image]: one.found for one in results}
        covered = []
        for place, boxes in enumerate(objects):
            corners = np.array(boxes, np.float64).reshape(-1, 4)
            corners[:, 2:] += corners[:, :2]
            if place in found:
                own = found[place]
                covered.append(covered_overlaps(corners, own.boxes, own.scores, self.proposal_nums))
            else:
                covered.append(np.zeros((len(self.proposal_nums), len(corners))))
        measured = recalls(covered, self.iou_thrs).mean(axis=1)
        recall = {f"AR@{number}": float(value) for number, value in zip(self.proposal_nums, measured, strict=True)}
        tell("proposal_fast", {"": recall})
        return recall

"""Precision as LVIS defines it, where not every image is marked for every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from visuite.det.metrics.coco_evaluation import choose_backend, evaluate_coco
from visuite.det.metrics.coco_style import CocoStyleMetric, check_items
from visuite.det.metrics.coco_summary import mean_of_known, precisions_of_classes
from visuite.det.metrics.coco_truth import ImageEntry, Truth, in_columns
from visuite.det.registry import METRICS

#: The names of LVIS for COCO's precisions.
_NAMES = {"AP": "mAP", "AP50": "mAP_50", "AP75": "mAP_75", "APs": "mAP_s", "APm": "mAP_m", "APl": "mAP_l"}
#: Precision over classes that are rare, common or frequent.
_FREQUENCIES = {"APr": "r", "APc": "c", "APf": "f"}
#: How many detections of an image count, whatever their class.
_LIMIT = 300


@METRICS.register_module()
class LVISMetric(CocoStyleMetric):
    """Average precision of boxes or masks on LVIS, arXiv:1908.03195.

    A class is measured in the images that are known to have it, or known not to; where not all its objects are marked,
    detections that find none are not held to be wrong. Results are `lvis/bbox_AP`, `AP50`, `AP75`, `APs`, `APm`, `APl`,
    and `APr`, `APc`, `APf` over rare, common and frequent classes, in 0..1; -1 where there is nothing to find. The
    numbers are those of the `lvis` package, by hotcoco. Recall of proposals is measured by `CocoMetric`.

    Args:
        ann_file: The LVIS file with the objects.
        metric: `bbox` or `segm`, or both.
        classwise: Also tell the precision of each class, as `lvis/<class>_precision`; of the second metric, as
            `lvis/segm_<class>_precision`. NaN where a class has no object.
        iou_thrs: Thresholds of IoU; by default 0.5, 0.55, ..., 0.95.
        metric_items: Which numbers to return; by default all.
        format_only: Write the results and measure nothing.
        outfile_prefix: Where to write results: `<prefix>.bbox.json` and `<prefix>.segm.json`.
        backend_args: How `ann_file` is read, as in `visuite.engine.fileio`.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `lvis`.

    Raises:
        ValueError: an unknown metric or item, or `format_only` without a place to write to.
        FileNotFoundError: there is no `ann_file`.
        ImportError: hotcoco is not installed.
    """

    default_prefix: str | None = "lvis"
    kinds: ClassVar[tuple[str, ...]] = ("bbox", "segm")

    def __init__(
        self,
        ann_file: str,
        metric: str | Sequence[str] = "bbox",
        *,
        classwise: bool = False,
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: Mapping[str, Any] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
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
        check_items(metric_items or (), [*_NAMES, *_FREQUENCIES], "LVIS does not have")
        self.metric_items = metric_items
        self.backend = choose_backend("hotcoco")

    def measure(self, kind: str, results: Sequence[ImageEntry], truth: Truth) -> dict[str, float]:
        """Return the precisions of boxes or masks."""
        tables = evaluate_coco(
            truth.coco,
            in_columns(results, truth, with_masks=kind == "segm").best(_LIMIT),
            iou_thrs=self.iou_thrs,
            max_dets=[_LIMIT],
            federated=True,
            backend=self.backend,
        )

        def of_classes(labels: int | slice) -> dict[str, float]:
            found = precisions_of_classes(tables, labels, iou_thrs=self.iou_thrs)
            return {name: found[coco] for name, coco in _NAMES.items() if coco in found}

        summary = of_classes(slice(None))
        for name, often in _FREQUENCIES.items():
            labels = [label for label, one in enumerate(truth.coco.frequencies) if one == often]
            summary[name] = mean_of_known(tables.precision[:, :, labels, 0])
        chosen = {name: summary[name] for name in self.metric_items or summary}
        return self.named(kind, chosen, truth.names, of_classes)

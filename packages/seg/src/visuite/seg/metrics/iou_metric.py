"""How well maps of classes agree with the truth.

Shapes: K classes, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from visuite.engine.analysis import matrix_chart
from visuite.engine.dist import get_dist_info
from visuite.engine.evaluator import BaseMetric
from visuite.engine.hooks.visualization import save_png
from visuite.engine.logging import print_log
from visuite.engine.utils.table import text_table
from visuite.engine.utils.text import did_you_mean
from visuite.seg.metrics.areas import MEASURES, StrayLabelError, count_pixels, rates
from visuite.seg.metrics.worst import Case, WorstCases, draw_cases
from visuite.seg.registry import METRICS
from visuite.seg.visualizer import class_map_image


@dataclass
class Share:
    """What one process has counted: pixels (K, K) of each true class taken for each class, and its worst cases."""

    counts: torch.Tensor | None = None
    worst: list[Case] = field(default_factory=list)


@METRICS.register_module()
class IoUMetric(BaseMetric):
    """Count pixels of each class taken for each class, and tell rates of classes and their means, in percent.

        aAcc           share of all pixels that are right
        mIoU, mAcc     `mIoU`: mean of intersection over union, and of the share of a class's pixels that are right
        mDice, mAcc    `mDice`
        mFscore, mPrecision, mRecall    `mFscore`

    Classes that are neither in the truth nor in the prediction do not count in a mean. Pixels are counted on the device
    where predictions are, so that memory does not grow with the number of images. Processes add up their counts, each
    image once, whatever the sampler repeated at the end.

    Args:
        ignore_index: Pixels of this true class do not count.
        iou_metrics: Of the above.
        nan_to_num: What the rate of an absent class counts as; by default it does not count.
        beta: How much more recall counts in the F score than precision.
        collect_device: Where processes exchange counts: `cpu` or `gpu`.
        output_dir: Where to write predictions, as PNG with the palette; class 0 becomes 1 and so on where the data set
            has `reduce_zero_label`.
        format_only: Write predictions, and measure nothing.
        prefix: Put before every name.
        analysis_dir: Where to draw the confusion matrix, and the worst images beside their truth.
        num_worst: How many of these.
        collect_dir: Folder of files that processes exchange.

    Raises:
        ValueError: an unknown measure, or `format_only` without `output_dir`.
    """

    def __init__(
        self,
        ignore_index: int = 255,
        iou_metrics: Sequence[str] = ("mIoU",),
        *,
        nan_to_num: float | None = None,
        beta: float = 1,
        collect_device: str = "cpu",
        output_dir: str | None = None,
        format_only: bool = False,
        prefix: str | None = None,
        analysis_dir: str | None = None,
        num_worst: int = 8,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.metrics = (iou_metrics,) if isinstance(iou_metrics, str) else tuple(iou_metrics)
        unknown = [one for one in self.metrics if one not in MEASURES]
        if unknown:
            raise ValueError(
                f"iou_metrics are of {list(MEASURES)}, not {unknown[0]!r}{did_you_mean(unknown[0], list(MEASURES))}"
            )
        if format_only and output_dir is None:
            raise ValueError("format_only=True writes predictions and nothing else: it needs output_dir")
        self.ignore_index = ignore_index
        self.nan_to_num = nan_to_num
        self.beta = beta
        self.output_dir = output_dir
        self.format_only = format_only
        self.analysis_dir = analysis_dir
        self._counts: torch.Tensor | None = None
        self._worst = WorstCases(num_worst if analysis_dir is not None else 0)
        self._seen = 0
        #: The last image, which does not count if the sampler has repeated it to give all processes equally many.
        self._held: tuple[torch.Tensor, Case | None] | None = None

    # ------------------------------------------------------------------ image by image

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Count the pixels of a batch.

        Raises:
            ValueError: a sample has no truth or another size than it, or classes are not those of the data.
        """
        for sample in data_samples:
            if self.output_dir is not None:
                self._write(sample)
            if self.format_only:
                continue
            counts = self._count(sample)
            self._keep_held()
            self._held = counts, self._case(sample, counts) if self._worst.most else None
            self._seen += 1

    def _count(self, sample: Mapping[str, Any]) -> torch.Tensor:
        if sample.get("gt_sem_seg") is None:
            raise ValueError(f"{sample.get('img_path')} has no gt_sem_seg: does the pipeline load annotations?")
        predicted = sample["pred_sem_seg"]["data"]
        true = sample["gt_sem_seg"]["data"].to(predicted.device)
        try:
            return count_pixels(predicted, true, self._num_classes(), self.ignore_index)
        except StrayLabelError as error:
            raise StrayLabelError(f"{sample.get('seg_map_path')}: {error}") from None
        except ValueError as error:
            raise ValueError(f"{sample.get('img_path')}: {error}") from None

    def _keep_held(self) -> None:
        """Add the image that was held back."""
        if self._held is None:
            return
        counts, case = self._held
        self._counts = counts if self._counts is None else self._counts + counts
        if case is not None:
            self._worst.add(case)
        self._held = None

    def _case(self, sample: Mapping[str, Any], counts: torch.Tensor) -> Case | None:
        iou = float(rates(counts.cpu(), "mIoU")["IoU"].nanmean())
        if np.isnan(iou) or sample.get("img_path") is None:  # all of the image is ignored, or it has no file
            return None
        maps = [_as_small(sample[key]["data"][0]) for key in ("gt_sem_seg", "pred_sem_seg")]
        return Case(1 - iou, str(sample["img_path"]), *maps)

    def _num_classes(self) -> int:
        classes = (self.dataset_meta or {}).get("classes")
        if classes is None:
            raise ValueError("IoUMetric needs to know the classes: the data set has none in its metainfo")
        return len(classes)

    def _write(self, sample: Mapping[str, Any]) -> None:
        """Write a prediction as an image whose values are classes."""
        classes = sample["pred_sem_seg"]["data"][0].cpu().numpy()
        palette = [tuple(color) for color in (self.dataset_meta or {}).get("palette") or ()]
        if sample.get("reduce_zero_label"):
            classes, palette = classes + 1, [(0, 0, 0), *palette] if palette else []
        file = Path(str(self.output_dir), f"{Path(sample['img_path']).stem}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        class_map_image(classes, palette).save(file)

    # ------------------------------------------------------------------ all images

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return the rates over the whole data set, the same on every rank, and forget the counts.

        Args:
            size: Length of the data set, beyond which ranks have repeated samples.

        Raises:
            ValueError: more samples came than the data set has.
        """
        rank, ranks = get_dist_info()
        if self._seen > 1 and (self._seen - 2) * ranks + rank >= size:
            raise ValueError(f"{self._seen} samples came to rank {rank} of {ranks}, the data set has {size}")
        if (self._seen - 1) * ranks + rank < size:
            self._keep_held()
        counts = None if self._counts is None else self._counts.cpu()
        self.results = [Share(counts, self._worst.take())]
        self._counts, self._held, self._seen = None, None, 0
        return super().evaluate(ranks)

    def compute_metrics(self, results: list[Share]) -> dict[str, float]:
        """Return the means in percent from what the processes have counted, and log a table of the classes."""
        if self.format_only:
            print_log(f"predictions written to {self.output_dir}", "current")
            return {}
        counted = [share.counts for share in results if share.counts is not None]
        if not counted:
            print_log("IoUMetric has nothing to measure: no sample came", "current", level="WARNING")
            return {}
        counts = torch.stack(counted).sum(0)
        by_class: dict[str, torch.Tensor] = {}
        for measure in self.metrics:
            by_class |= rates(counts, measure, self.beta)
        if self.nan_to_num is not None:
            by_class = {name: values.nan_to_num(self.nan_to_num) for name, values in by_class.items()}
        means = {"aAcc": float(counts.diagonal().sum() / counts.sum())}
        means |= {f"m{name}": float(values.nanmean()) for name, values in by_class.items()}
        print_log("\n" + self._table(by_class), "current")
        if self.analysis_dir is not None:
            self._draw(counts, sorted((case for share in results for case in share.worst), reverse=True))
        return {name: round(100 * value, 2) for name, value in means.items()}

    def _class_names(self) -> list[str]:
        return [str(name) for name in (self.dataset_meta or {})["classes"]]

    def _table(self, by_class: Mapping[str, torch.Tensor]) -> str:
        rows = [("class", *by_class)]
        for label, name in enumerate(self._class_names()):
            rows.append((name, *(f"{100 * float(values[label]):.2f}" for values in by_class.values())))
        return text_table(rows, right=range(1, len(by_class) + 1))

    def _draw(self, counts: torch.Tensor, cases: list[Case]) -> None:
        folder = Path(str(self.analysis_dir))
        folder.mkdir(parents=True, exist_ok=True)
        shares = 100 * counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
        names = self._class_names()
        title = "percent of each class's pixels"
        picture = matrix_chart(
            shares.round().numpy(), names, names, title=title, row_label="truth", column_label="prediction"
        )
        save_png(picture, folder / "confusion_matrix.png")
        files = draw_cases(cases[: self._worst.most], folder, self.dataset_meta)
        lines = [(f"{100 * (1 - case.badness):.2f}", case.img_path) for case in cases[: len(files)]]
        table = text_table([("mIoU", "worst images"), *lines], right={0})
        print_log(f"\n{table}\nconfusion matrix and worst images drawn in {folder}", "current")


def _as_small(labels: torch.Tensor) -> np.ndarray:
    """Return a map (H, W) in the smallest kind of number that holds it."""
    array = labels.cpu().numpy()
    return array.astype(np.uint8 if array.size == 0 or (array.min() >= 0 and array.max() < 256) else np.int32)

"""Precision, recall and F1 score where each image has one class.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from visuite.cls.metrics.accuracy import Threshold, single_label
from visuite.cls.metrics.counting import Rates, check_items, multi_hot, rates, scores_or_labels
from visuite.cls.registry import METRICS
from visuite.engine.evaluator import BaseMetric


@METRICS.register_module()
class SingleLabelMetric(BaseMetric):
    """Precision, recall, F1 score (in percent) and support.

    Results are `single-label/precision`, ...; with several thresholds `single-label/precision_thr-0.50`, and
    `precision_no-thr` for None; `precision_micro` and `precision_classwise` (a list) for the other averages.

    Args:
        thrs: Best scores that do not exceed it do not count; one threshold or several, None being no threshold.
        items: Of `precision`, `recall`, `f1-score` and `support`.
        average: `macro`: the mean over classes; `micro`: all decisions together; None: a list over classes.
        num_classes: K, needed where predictions are classes without scores.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `single-label`.

    Raises:
        ValueError: an unknown item or average.
    """

    default_prefix: str | None = "single-label"

    def __init__(
        self,
        thrs: Threshold | Sequence[Threshold] = 0.0,
        items: Sequence[str] = ("precision", "recall", "f1-score"),
        *,
        average: str | None = "macro",
        num_classes: int | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.thrs: tuple[Threshold, ...] = (thrs,) if isinstance(thrs, (int, float, type(None))) else tuple(thrs)
        self.items = check_items(type(self).__name__, items, average)
        self.average = average
        self.num_classes = num_classes

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the truth and the prediction of each image of a batch."""
        self.results += [{"gt_label": single_label(one), **scores_or_labels(one)} for one in data_samples]

    def compute_metrics(self, results: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
        """Return the items for each threshold."""
        target = torch.cat([one["gt_label"] for one in results])
        if "pred_score" not in results[0]:
            pred = torch.cat([one["pred_label"] for one in results])
            by_label = self.calculate(pred, target, average=self.average, num_classes=self.num_classes)
            return by_label[0].named(self.items, self.average)
        scores = torch.stack([one["pred_score"] for one in results])
        found = self.calculate(scores, target, self.thrs, average=self.average)
        several = len(self.thrs) > 1
        tails = ["" if not several else "_no-thr" if thr is None else f"_thr-{thr:.2f}" for thr in self.thrs]
        named = [one.named(self.items, self.average, tail) for one, tail in zip(found, tails, strict=True)]
        return {name: value for of_threshold in named for name, value in of_threshold.items()}

    @staticmethod
    def calculate(
        pred: torch.Tensor | Sequence[Any],
        target: torch.Tensor | Sequence[int],
        thrs: Sequence[Threshold] = (0.0,),
        *,
        average: str | None = "macro",
        num_classes: int | None = None,
    ) -> list[Rates]:
        """Return the rates for each threshold.

        Args:
            pred: Scores (N, K), or classes (N,), to which no threshold applies.
            target: Classes (N,).
            thrs: Several thresholds.
            average: As of the metric.
            num_classes: K, where `pred` are classes.

        Raises:
            ValueError: the lengths differ, or K is not known.
        """
        pred, target = torch.as_tensor(pred), torch.as_tensor(target)
        if len(pred) != len(target):
            raise ValueError(f"{len(pred)} predictions for {len(target)} targets")
        if pred.ndim == 1:
            if num_classes is None:
                raise ValueError("predictions without scores need num_classes")
            return [rates(multi_hot(pred, num_classes), multi_hot(target, num_classes), average)]
        best, label = pred.max(dim=1)
        true, said = multi_hot(target, pred.shape[1]), multi_hot(label, pred.shape[1])
        enough = [torch.ones_like(best, dtype=torch.bool) if thr is None else best > thr for thr in thrs]
        return [rates(said & one[:, None], true, average) for one in enough]

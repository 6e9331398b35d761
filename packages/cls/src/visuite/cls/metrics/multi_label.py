"""Precision, recall and F1 score where an image may have several classes, and average precision.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from visuite.cls.metrics.counting import Rates, check_items, multi_hot, rates
from visuite.cls.registry import METRICS
from visuite.engine.evaluator import BaseMetric


class _MultiLabel(BaseMetric):
    """Gathers scores (K,) and multi-hot truths (K,)."""

    default_prefix: str | None = "multi-label"

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the truth and the scores of each image of a batch."""
        for sample in data_samples:
            scores = torch.as_tensor(sample["pred_score"]).detach().cpu()
            self.results.append({"pred_score": scores, "gt_score": self._truth(sample, len(scores))})

    def _truth(self, sample: Mapping[str, Any], num_classes: int) -> torch.Tensor:
        """Return the truth (K,) of an image: 1 has it, 0 has it not, -1 does not count."""
        return known_truth(sample, num_classes)


def known_truth(sample: Mapping[str, Any], num_classes: int) -> torch.Tensor:
    """Return the truth (K,) long of an image, from its `gt_score` or its `gt_label`.

    Raises:
        ValueError: it has neither.
    """
    if sample.get("gt_score") is not None:
        return torch.as_tensor(sample["gt_score"]).cpu().long().clone()
    if sample.get("gt_label") is None:
        raise ValueError("a sample has neither gt_label nor gt_score")
    return multi_hot([torch.as_tensor(sample["gt_label"]).cpu()], num_classes)[0].long()


def voc_truth(sample: Mapping[str, Any], num_classes: int, difficult: bool | None) -> torch.Tensor:
    """Return the truth (K,) of an image of Pascal VOC, whose `gt_label_difficult` are classes seen with difficulty.

    Args:
        sample: The sample.
        num_classes: K.
        difficult: What such classes count as, None being not at all. A class that is also seen plainly counts.
    """
    truth = known_truth(sample, num_classes)
    hard = sample.get("gt_label_difficult")
    if hard is not None and len(hard):
        which = torch.as_tensor(hard).long()
        which = which[truth[which] != 1]
        truth[which] = -1 if difficult is None else int(difficult)
    return truth


@METRICS.register_module()
class MultiLabelMetric(_MultiLabel):
    """Precision, recall, F1 score (in percent) and support.

    Results are `multi-label/precision`, ...; `precision_thr-0.80` for other thresholds than 0.5, `precision_top1` for
    the best scores; then `_micro` or `_classwise` (a list) for the other averages.

    Args:
        thr: The classes whose score is at least this are predicted. By default 0.5, unless there is `topk`.
        topk: In place of `thr`: that many classes with the best scores are predicted.
        items: Of `precision`, `recall`, `f1-score` and `support`.
        average: `macro`: the mean over classes; `micro`: all decisions together; None: a list over classes.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `multi-label`.

    Raises:
        ValueError: an unknown item or average.
    """

    def __init__(
        self,
        thr: float | None = None,
        topk: int | None = None,
        *,
        items: Sequence[str] = ("precision", "recall", "f1-score"),
        average: str | None = "macro",
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.thr = 0.5 if thr is None and topk is None else thr
        self.topk = topk
        self.items = check_items(type(self).__name__, items, average)
        self.average = average

    def compute_metrics(self, results: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
        """Return the items."""
        scores = torch.stack([one["pred_score"] for one in results])
        truth = torch.stack([one["gt_score"] for one in results])
        found = self.calculate(scores, truth, thr=self.thr, topk=self.topk, average=self.average)
        tail = f"_top{self.topk}" if self.thr is None else "" if self.thr == 0.5 else f"_thr-{self.thr:.2f}"
        return found.named(self.items, self.average, tail)

    @staticmethod
    def calculate(
        pred: torch.Tensor | Sequence[Any],
        target: torch.Tensor | Sequence[Any],
        *,
        pred_indices: bool = False,
        target_indices: bool = False,
        average: str | None = "macro",
        thr: float | None = None,
        topk: int | None = None,
        num_classes: int | None = None,
    ) -> Rates:
        """Return the rates.

        Args:
            pred: Scores (N, K); with `pred_indices` the predicted classes of each image.
            target: Multi-hot rows (N, K), where negative numbers do not count; with `target_indices` the classes.
            pred_indices: Whether `pred` are classes.
            target_indices: Whether `target` are classes.
            average: As of the metric.
            thr: As of the metric.
            topk: As of the metric.
            num_classes: K, where both are classes.

        Raises:
            ValueError: the lengths differ, or K is not known.
        """
        if len(pred) != len(target):
            raise ValueError(f"{len(pred)} predictions for {len(target)} targets")
        if pred_indices and target_indices and num_classes is None:
            raise ValueError("classes without scores need num_classes")
        scores = None if pred_indices else _rows(pred)
        truth = None if target_indices else _rows(target)
        known = [num_classes, *(one.shape[1] for one in (scores, truth) if one is not None)]
        classes = int(next(one for one in known if one is not None))
        said = multi_hot(pred, classes) if scores is None else _predicted(scores, thr, topk)
        true = multi_hot(target, classes).long() if truth is None else truth
        counts = true >= 0
        return rates(said & counts, (true == 1) & counts, average)


@METRICS.register_module()
class VOCMultiLabelMetric(MultiLabelMetric):
    """`MultiLabelMetric` for Pascal VOC.

    Args:
        difficult_as_positive: What classes that are seen only with difficulty count as; None: not at all.
        **kwargs: As of `MultiLabelMetric`.
    """

    def __init__(self, difficult_as_positive: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.difficult_as_positive = difficult_as_positive

    def _truth(self, sample: Mapping[str, Any], num_classes: int) -> torch.Tensor:
        return voc_truth(sample, num_classes, self.difficult_as_positive)


@METRICS.register_module()
class AveragePrecision(_MultiLabel):
    """The mean, over the images that have a class, of the precision down to each of them in the order of scores.

    Results in percent: `multi-label/mAP`, the mean over classes, or `multi-label/AP_classwise`, a list.

    Args:
        average: `macro`: the mean over classes; None: a list.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `multi-label`.

    Raises:
        ValueError: another average.
    """

    def __init__(
        self, average: str | None = "macro", *, collect_device: str = "cpu", prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if average not in ("macro", None):
            raise ValueError(f"AveragePrecision: average is 'macro' or None, not {average!r}")
        self.average = average

    def compute_metrics(self, results: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
        """Return `mAP` or `AP_classwise`."""
        scores = torch.stack([one["pred_score"] for one in results])
        truth = torch.stack([one["gt_score"] for one in results])
        found = self.calculate(scores, truth, self.average)
        return {"AP_classwise": found.tolist()} if self.average is None else {"mAP": float(found)}

    @staticmethod
    def calculate(
        pred: torch.Tensor | Sequence[Any], target: torch.Tensor | Sequence[Any], average: str | None = "macro"
    ) -> torch.Tensor:
        """Return the average precision in percent: one number, or (K,) without an average.

        Args:
            pred: Scores (N, K).
            target: Multi-hot rows (N, K), where negative numbers do not count.
            average: As of the metric.

        Raises:
            ValueError: the shapes differ.
        """
        scores, truth = _rows(pred), _rows(target)
        if scores.shape != truth.shape:
            raise ValueError(f"scores of shape {tuple(scores.shape)} for targets of shape {tuple(truth.shape)}")
        of_classes = [_average_precision(*column) for column in zip(scores.T, truth.T, strict=True)]
        by_class = 100 * torch.stack(of_classes)
        return by_class if average is None else by_class.mean()


@METRICS.register_module()
class VOCAveragePrecision(AveragePrecision):
    """`AveragePrecision` for Pascal VOC.

    Args:
        difficult_as_positive: What classes that are seen only with difficulty count as; None: not at all.
        **kwargs: As of `AveragePrecision`.
    """

    def __init__(self, difficult_as_positive: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.difficult_as_positive = difficult_as_positive

    def _truth(self, sample: Mapping[str, Any], num_classes: int) -> torch.Tensor:
        return voc_truth(sample, num_classes, self.difficult_as_positive)


def _average_precision(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the average precision, from 0 to 1, of one class: scores (N,) and truths (N,); 0 if no image has it."""
    counted = truth >= 0
    order = scores[counted].argsort(descending=True, stable=True)
    hits = (truth[counted][order] == 1).double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return (precision * hits).sum() / hits.sum().clamp(min=1)


def _predicted(scores: torch.Tensor, thr: float | None, topk: int | None) -> torch.Tensor:
    """Return which classes (N, K) are predicted."""
    if thr is None and topk is not None:
        best = scores.topk(min(topk, scores.shape[1]), dim=1).indices
        return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)
    return scores >= (0.5 if thr is None else thr)


def _rows(values: torch.Tensor | Sequence[Any]) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values
    return torch.stack([torch.as_tensor(one) for one in values])

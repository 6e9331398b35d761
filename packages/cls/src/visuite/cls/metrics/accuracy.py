"""Top-k accuracy.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from visuite.cls.registry import METRICS
from visuite.cv.losses import accuracy
from visuite.engine.evaluator import BaseMetric

Threshold = float | None


@METRICS.register_module()
class Accuracy(BaseMetric):
    """The share of images, in percent, whose class is among the k best scores.

    Results are `accuracy/top1`, `accuracy/top5`, ...; with several thresholds `accuracy/top1_thr-0.50`, and
    `accuracy/top1_no-thr` for None.

    Args:
        topk: k, or several.
        thrs: Scores that do not exceed it do not count; one threshold or several, None being no threshold.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: In place of `accuracy`.
    """

    default_prefix: str | None = "accuracy"

    def __init__(
        self,
        topk: int | Sequence[int] = (1,),
        thrs: Threshold | Sequence[Threshold] = 0.0,
        *,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.thrs: tuple[Threshold, ...] = (thrs,) if isinstance(thrs, (int, float, type(None))) else tuple(thrs)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the truth and the scores (or, without these, the labels) of a batch.

        Raises:
            ValueError: an image has no single true class.
        """
        for sample in data_samples:
            kept = {"gt_label": single_label(sample)}
            key = "pred_score" if sample.get("pred_score") is not None else "pred_label"
            kept[key] = torch.as_tensor(sample.get(key)).cpu()
            self.results.append(kept)

    def compute_metrics(self, results: list[dict[str, torch.Tensor]]) -> dict[str, float]:
        """Return the percentage for each k and each threshold."""
        target = torch.cat([one["gt_label"] for one in results])
        if "pred_score" not in results[0]:
            labels = torch.cat([one["pred_label"] for one in results])
            return {"top1": float((labels == target).float().mean() * 100)}
        values = self.calculate(torch.stack([one["pred_score"] for one in results]), target, self.topk, self.thrs)
        flat = [float(value) for of_k in values for value in of_k]
        return dict(zip(self._names(), flat, strict=True))

    @staticmethod
    def calculate(
        pred: torch.Tensor | np.ndarray | Sequence[int],
        target: torch.Tensor | np.ndarray | Sequence[int],
        topk: Sequence[int] = (1,),
        thrs: Sequence[Threshold] = (0.0,),
    ) -> torch.Tensor | list[list[torch.Tensor]]:
        """Return the accuracy in percent.

        Args:
            pred: Scores (N, K), or classes (N,).
            target: Classes (N,).
            topk: Several k.
            thrs: Several thresholds.

        Returns:
            For scores one list for each k, with a tensor (1,) for each threshold. For classes one tensor.
        """
        pred, target = torch.as_tensor(pred), torch.as_tensor(target)
        if len(pred) != len(target):
            raise ValueError(f"{len(pred)} predictions for {len(target)} targets")
        if pred.ndim == 1:
            return (pred == target).float().mean() * 100
        by_threshold = [accuracy(pred.float(), target, topk=tuple(topk), thresh=thr) for thr in thrs]
        return [list(of_k) for of_k in zip(*by_threshold, strict=True)]

    def _names(self) -> list[str]:
        if len(self.thrs) == 1:
            return [f"top{k}" for k in self.topk]
        tails = ["no-thr" if thr is None else f"thr-{thr:.2f}" for thr in self.thrs]
        return [f"top{k}_{tail}" for k in self.topk for tail in tails]


def single_label(sample: Mapping[str, Any]) -> torch.Tensor:
    """Return a sample's true class (1,): its `gt_label`, or the best of its `gt_score`."""
    label = sample.get("gt_label")
    if label is None and sample.get("gt_score") is not None:
        label = torch.as_tensor(sample.get("gt_score")).argmax().reshape(1)
    if label is None or len(label) != 1:
        raise ValueError(f"top-k accuracy needs one true class per image, this one has {label}")
    return torch.as_tensor(label).cpu()

"""The schedule of PP-YOLOE (Xu et al., arXiv:2203.16250)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from visuite.yolo.hooks.schedule import EachIterationSchedule, Place, line, warmup_length
from visuite.yolo.registry import HOOKS


@HOOKS.register_module()
class PPYOLOEParamSchedulerHook(EachIterationSchedule):
    """Let learning rates rise on a line, then fall along half a cosine that is longer than the training.

    In iteration i of the w of the warm-up the rate is lr (start_factor + (1 - start_factor) i / w), after it
    lr (r + (1 - r) (1 + cos(pi (i - w) / (n - w))) / 2), with r = min_lr_ratio and the n iterations of `total_epochs`.

    Args:
        warmup_min_iter: The least length of the warm-up in iterations.
        start_factor: The share of the rate in the first iteration.
        warmup_epochs: The length of the warm-up in epochs, if that is more.
        min_lr_ratio: The share of the rate at the end of the cosine.
        total_epochs: The end of the cosine: 1.2 times the epochs of the training, in the paper.

    Raises:
        ValueError: no epochs.
    """

    def __init__(
        self,
        warmup_min_iter: int = 1000,
        start_factor: float = 0.0,
        *,
        warmup_epochs: float = 5,
        min_lr_ratio: float = 0.0,
        total_epochs: int = 360,
    ) -> None:
        if total_epochs < 1:
            raise ValueError(f"total_epochs is at least 1, not {total_epochs}")
        self.warmup_min_iter = warmup_min_iter
        self.start_factor = start_factor
        self.warmup_epochs = warmup_epochs
        self.min_lr_ratio = min_lr_ratio
        self.total_epochs = total_epochs

    def values(self, group: Mapping[str, Any], place: Place) -> dict[str, float]:
        """Return a group's `lr`."""
        begin = warmup_length(self.warmup_epochs, self.warmup_min_iter, place.epoch_length)
        if place.iteration < begin:
            return {"lr": group["lr"] * line(self.start_factor, 1.0, place.iteration / begin)}
        end = max(self.total_epochs * place.epoch_length, begin + 1)
        share = min((place.iteration - begin) / (end - begin), 1.0)
        return {"lr": group["lr"] * line(self.min_lr_ratio, 1.0, (1 + math.cos(math.pi * share)) / 2)}

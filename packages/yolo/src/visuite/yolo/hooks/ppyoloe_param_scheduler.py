"""The schedule of PP-YOLOE (Xu et al., arXiv:2203.16250): a warm-up, then a cosine that the training leaves early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visuite.yolo.hooks.schedule import EachIterationSchedule, Place, fall, require_at_least, warm, warmup_length
from visuite.yolo.registry import HOOKS


@HOOKS.register_module()
class PPYOLOEParamSchedulerHook(EachIterationSchedule):
    """Raise the learning rate in a straight line, then let it fall along half a cosine wave, iteration by iteration.

    The wave begins where the warm-up ends. It is usually longer than the training (the paper's 1.2 times), which then
    ends at a rate above the least.

    Args:
        warmup_min_iter: The least iterations of the warm-up, for small data sets.
        start_factor: The share of the learning rate in the first iteration.
        warmup_epochs: How long the warm-up lasts, which may be a fraction; 0 for none, if `warmup_min_iter` is 0, too.
        min_lr_ratio: The share of the learning rate at the end of the wave, which stays from there on.
        total_epochs: How many epochs warm-up and wave last together.

    Raises:
        ValueError: a number is too small.
    """

    def __init__(
        self,
        warmup_min_iter: int = 1000,
        start_factor: float = 0.0,
        *,
        warmup_epochs: float = 5,
        min_lr_ratio: float = 0.0,
        total_epochs: int = 96,
    ) -> None:
        require_at_least(1, total_epochs=total_epochs)
        require_at_least(0, warmup_min_iter=warmup_min_iter, warmup_epochs=warmup_epochs)
        require_at_least(0, start_factor=start_factor, min_lr_ratio=min_lr_ratio)
        self.warmup_min_iter = warmup_min_iter
        self.start_factor = start_factor
        self.warmup_epochs = warmup_epochs
        self.min_lr_ratio = min_lr_ratio
        self.total_epochs = total_epochs

    def values(self, group: Mapping[str, Any], place: Place) -> dict[str, float]:
        """Return the learning rate of a group at a place."""
        return {"lr": group["lr"] * self.share(place)}

    def share(self, place: Place) -> float:
        """Return which share of its learning rate every group has at a place."""
        steps = warmup_length(self.warmup_epochs, self.warmup_min_iter, place.epoch_length)
        if place.iteration < steps:
            return warm(self.start_factor, 1.0, place.iteration, steps)
        return fall(self.min_lr_ratio, place.iteration - steps, self.total_epochs * place.epoch_length - steps)

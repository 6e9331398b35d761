"""The schedule of YOLOv5 to YOLOv8: a warm-up by iteration, then a fall by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from visuite.engine.utils.text import did_you_mean
from visuite.yolo.hooks.schedule import EachIterationSchedule, Place, line, warmup_length
from visuite.yolo.registry import HOOKS

#: How far a fall has come at a share of its length.
FALLS: dict[str, Callable[[float], float]] = {
    "linear": lambda share: share,
    "cosine": lambda share: (1 - math.cos(math.pi * share)) / 2,
}


@HOOKS.register_module()
class YOLOv5ParamSchedulerHook(EachIterationSchedule):
    """Let learning rates fall epoch by epoch, after a warm-up in which biases come from above and all else from 0.

    The rate of epoch e is lr (1 - (1 - lr_factor) f(e / max_epochs)), f being a line or half a cosine. In iteration i
    of the w of the warm-up it is i / w of the way from `warmup_bias_lr` (biases) or 0 to the rate of its epoch, and the
    momentum as far from `warmup_momentum` to its own. The group of biases is the one with `group_name='biases'`.

    Args:
        scheduler_type: 'linear' or 'cosine'.
        lr_factor: The share of the rate that is left after `max_epochs`.
        max_epochs: The length of the fall.
        warmup_epochs: The length of the warm-up in epochs, or
        warmup_bias_lr: The rate of biases in the first iteration.
        warmup_momentum: The momentum in the first iteration.
        warmup_mim_iter: in iterations, whichever is more.

    Raises:
        ValueError: an unknown `scheduler_type`; says the nearest. No epochs.
    """

    def __init__(
        self,
        scheduler_type: str = "linear",
        lr_factor: float = 0.01,
        *,
        max_epochs: int = 300,
        warmup_epochs: float = 3,
        warmup_bias_lr: float = 0.1,
        warmup_momentum: float = 0.8,
        warmup_mim_iter: int = 1000,
    ) -> None:
        if scheduler_type not in FALLS:
            hint = did_you_mean(scheduler_type, FALLS)
            raise ValueError(f"scheduler_type is one of {', '.join(FALLS)}, not {scheduler_type!r}{hint}")
        if max_epochs < 1:
            raise ValueError(f"max_epochs is at least 1, not {max_epochs}")
        self.fall = FALLS[scheduler_type]
        self.lr_factor = lr_factor
        self.max_epochs = max_epochs
        self.warmup_epochs = warmup_epochs
        self.warmup_bias_lr = warmup_bias_lr
        self.warmup_momentum = warmup_momentum
        self.warmup_mim_iter = warmup_mim_iter

    def values(self, group: Mapping[str, Any], place: Place) -> dict[str, float]:
        """Return a group's `lr` and, where it has one, `momentum`."""
        options = {"lr": group["lr"] * line(1.0, self.lr_factor, self.fall(place.epoch / self.max_epochs))}
        if "momentum" in group:
            options["momentum"] = group["momentum"]
        length = warmup_length(self.warmup_epochs, self.warmup_mim_iter, place.epoch_length)
        if place.iteration >= length:
            return options
        bias_lr = self.warmup_bias_lr if group.get("group_name") == "biases" else 0.0
        starts = {"lr": bias_lr, "momentum": self.warmup_momentum}
        return {name: line(starts[name], end, place.iteration / length) for name, end in options.items()}

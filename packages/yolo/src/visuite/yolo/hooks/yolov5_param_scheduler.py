"""The schedule of YOLOv5 and of those that took over its recipe: a warm-up, then a rate that falls with each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visuite.engine.optim.schedule.curves import Curve, linear
from visuite.engine.utils.text import did_you_mean
from visuite.yolo.hooks.schedule import EachIterationSchedule, Place, fall, require_at_least, warm, warmup_length
from visuite.yolo.optim.constructor import BIASES
from visuite.yolo.registry import HOOKS


def falling(kind: str, floor: float, epochs: int) -> Curve:
    """Return the curve of an epoch's share of the learning rate, from 1 down to `floor` after so many `epochs`.

    Raises:
        ValueError: there is no such kind; says the nearest.
    """
    curves: dict[str, Curve] = {
        "linear": linear(1.0, floor, epochs),
        "cosine": lambda epoch: fall(floor, epoch, epochs),
    }
    if kind not in curves:
        known = " or ".join(map(repr, curves))
        raise ValueError(f"scheduler_type is {known}, not {kind!r}{did_you_mean(str(kind), curves)}")
    return curves[kind]


@HOOKS.register_module()
class YOLOv5ParamSchedulerHook(EachIterationSchedule):
    """Let the learning rate fall from epoch to epoch, and come to it in a warm-up that changes each iteration.

    In the warm-up rates come from 0, those of biases (the group 'biases' of `YOLOv5OptimizerConstructor`) from
    `warmup_bias_lr`, and the momentum, where the optimizer has one, from `warmup_momentum`: each goes straight to what
    it would be without.

    Args:
        scheduler_type: How rates fall: 'linear', or 'cosine' for half a wave.
        lr_factor: The share of the learning rate that is left after `max_epochs`.
        max_epochs: How many epochs the fall takes; after them the rates stay.
        warmup_epochs: How long the warm-up lasts, which may be a fraction; 0 for none, if `warmup_mim_iter` is 0, too.
        warmup_bias_lr: The rate of biases in the first iteration.
        warmup_momentum: The momentum in the first iteration.
        warmup_mim_iter: The least iterations of the warm-up, for small data sets. The published configs spell it so.

    Raises:
        ValueError: `scheduler_type` is unknown, or a number is too small.
    """

    def __init__(
        self,
        scheduler_type: str = "linear",
        lr_factor: float = 0.01,
        *,
        max_epochs: int = 300,
        warmup_epochs: float = 3.0,
        warmup_bias_lr: float = 0.1,
        warmup_momentum: float = 0.8,
        warmup_mim_iter: int = 1000,
    ) -> None:
        require_at_least(1, max_epochs=max_epochs)
        require_at_least(0, lr_factor=lr_factor, warmup_epochs=warmup_epochs, warmup_mim_iter=warmup_mim_iter)
        require_at_least(0, warmup_bias_lr=warmup_bias_lr, warmup_momentum=warmup_momentum)
        self.share = falling(scheduler_type, lr_factor, max_epochs)
        self.warmup_epochs = warmup_epochs
        self.warmup_bias_lr = warmup_bias_lr
        self.warmup_momentum = warmup_momentum
        self.warmup_mim_iter = warmup_mim_iter

    def values(self, group: Mapping[str, Any], place: Place) -> dict[str, float]:
        """Return the learning rate of a group at a place, and its momentum where it has one."""
        steps = warmup_length(self.warmup_epochs, self.warmup_mim_iter, place.epoch_length)
        from_lr = self.warmup_bias_lr if group.get("group_name") == BIASES else 0.0
        ways = {"lr": (from_lr, group["lr"] * self.share(place.epoch))}
        if "momentum" in group:
            ways["momentum"] = (self.warmup_momentum, group["momentum"])
        return {option: warm(start, goal, place.iteration, steps) for option, (start, goal) in ways.items()}

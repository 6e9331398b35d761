"""Reduce a parameter when a metric no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from torch.optim import Optimizer

from visuite.engine.optim.schedule.curves import constant
from visuite.engine.optim.schedule.driver import ParamScheduler, Window
from visuite.engine.optim.wrapper import OptimWrapper
from visuite.engine.registry import PARAM_SCHEDULERS
from visuite.engine.utils.text import did_you_mean


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauParamScheduler(ParamScheduler):
    """Multiply a parameter by `factor` after more than `patience` validations without improvement.

    `begin` and `end` count validations here.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        monitor: The metric: a key of what `step` is given.
        rule: Whether 'less' or 'greater' is better.
        factor: The factor of a reduction, below 1.
        patience: Validations without improvement that are forgiven.
        threshold: How much better than the best counts as an improvement.
        threshold_rule: Whether `threshold` is a share of the best ('rel') or a difference ('abs').
        cooldown: Validations after a reduction during which nothing is counted.
        min_value: A lower bound, for all groups or for each.
        eps: Reductions smaller than this are left out.
        **window: See `ParamScheduler`; `by_epoch` must be True.

    Raises:
        ValueError: an argument is out of its range; says which.
    """

    need_val_args = True

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        param_name: str,
        monitor: str = "loss",
        rule: str = "less",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_rule: str = "rel",
        cooldown: int = 0,
        min_value: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
        **window: Unpack[Window],
    ) -> None:
        if not window.get("by_epoch", True):
            raise ValueError("ReduceOnPlateau steps after validations: by_epoch must be True")
        if not 0 < factor < 1:
            raise ValueError(f"factor lies between 0 and 1, not {factor}")
        if rule not in ("less", "greater") or threshold_rule not in ("rel", "abs"):
            raise ValueError(
                f"rule is 'less' or 'greater' and threshold_rule 'rel' or 'abs', not {rule!r} and {threshold_rule!r}"
            )
        self.monitor, self.rule, self.factor, self.patience = monitor, rule, factor, patience
        self.threshold, self.threshold_rule, self.cooldown, self.eps = threshold, threshold_rule, cooldown, eps
        self.best = math.inf if rule == "less" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer, param_name, curve=constant(1.0, 0), **window)
        self._global_step = 0  # the first validation is number 1
        self.min_values = self._bounds(min_value)

    def _bounds(self, min_value: float | Sequence[float]) -> list[float]:
        count = len(self._groups)
        if not isinstance(min_value, Sequence):
            return [float(min_value)] * count
        # An OptimWrapper of several groups shows one more, which holds the optimizer's defaults for the log.
        own = len(getattr(self.optimizer, "optimizer", self.optimizer).param_groups)
        if len(min_value) not in (count, own):
            raise ValueError(f"min_value has {len(min_value)} entries for {own} parameter groups")
        return [*map(float, min_value), *[float(min(min_value))] * (count - len(min_value))]

    def step(self, metrics: Mapping[str, Any] | None = None) -> None:
        """Count a validation and judge its metrics; without metrics there is nothing to do.

        Raises:
            KeyError: `monitor` is not among the metrics; says the nearest.
        """
        if metrics is None:
            return
        if self.monitor not in metrics:
            raise KeyError(f"the metrics have no {self.monitor!r}{did_you_mean(self.monitor, metrics)}")
        self._global_step += 1
        if self.begin <= self._global_step < self.end:
            self.last_step += 1
            self._judge(float(metrics[self.monitor]))

    def _judge(self, value: float) -> None:
        if self._improves(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self._reduce()

    def _improves(self, value: float) -> bool:
        if math.isinf(self.best):
            return (value < self.best) if self.rule == "less" else (value > self.best)
        sign = 1.0 if self.rule == "less" else -1.0
        margin = self.threshold * (self.best if self.threshold_rule == "rel" else 1.0)
        return sign * value < sign * (self.best - sign * margin)

    def _reduce(self) -> None:
        for group, least in zip(self._groups, self.min_values, strict=True):
            old = self._read(group)
            new = max(old * self.factor, least)
            if old - new > self.eps:
                self._write(group, new)
        self._last_value = self._read_all()
        if self.verbose:
            for index, value in enumerate(self._last_value):
                self.print_value(True, index, value)

    def _position(self) -> dict[str, Any]:
        return {
            **super()._position(),
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
        }

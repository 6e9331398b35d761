"""The schedules by name: each is a curve with its documented arguments, driven by `ParamScheduler`.

The arguments of the window (begin, end, last_step, by_epoch, verbose) are those of `ParamScheduler`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Unpack

from torch.optim import Optimizer

from visuite.engine.optim.schedule import curves
from visuite.engine.optim.schedule.driver import INF, ParamScheduler, Window, check_window
from visuite.engine.optim.wrapper import OptimWrapper
from visuite.engine.registry import PARAM_SCHEDULERS

Optimizing = Optimizer | OptimWrapper


def _length(name: str, window: Window) -> int:
    """Return the number of steps in a window."""
    begin, end = window.get("begin", 0), window.get("end", INF)
    check_window(name, begin, end)
    return end - begin


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a share of the value, between 0 and 1, not {value}")


@PARAM_SCHEDULERS.register_module()
class ConstantParamScheduler(ParamScheduler):
    """Scale a parameter by `factor` until the last step of the window, which gives it back.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        factor: What the parameter is multiplied by, between 0 and 1.
        **window: See `ParamScheduler`.
    """

    def __init__(
        self, optimizer: Optimizing, param_name: str, factor: float = 1.0 / 3, **window: Unpack[Window]
    ) -> None:
        _check_share("factor", factor)
        self.factor = factor
        curve = curves.constant(factor, _length("ConstantLR", window) - 1)
        super().__init__(optimizer, param_name, curve=curve, **window)


@PARAM_SCHEDULERS.register_module()
class LinearParamScheduler(ParamScheduler):
    """Scale a parameter by a factor that moves on a straight line from the first to the last step of the window.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        start_factor: The factor at `begin`, between 0 and 1.
        end_factor: The factor at `end - 1`, between 0 and 1.
        **window: See `ParamScheduler`.
    """

    def __init__(
        self,
        optimizer: Optimizing,
        param_name: str,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        **window: Unpack[Window],
    ) -> None:
        _check_share("start_factor", start_factor)
        _check_share("end_factor", end_factor)
        self.start_factor, self.end_factor = start_factor, end_factor
        curve = curves.linear(start_factor, end_factor, _length("LinearLR", window) - 1)
        super().__init__(optimizer, param_name, curve=curve, **window)


@PARAM_SCHEDULERS.register_module()
class ExponentialParamScheduler(ParamScheduler):
    """Multiply a parameter by `gamma` at every step of the window.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        gamma: The factor of a step: of an iteration where epochs are converted to iterations.
        **window: See `ParamScheduler`.
    """

    def __init__(self, optimizer: Optimizing, param_name: str, gamma: float, **window: Unpack[Window]) -> None:
        self.gamma = gamma
        super().__init__(optimizer, param_name, curve=curves.exponential(gamma), **window)


@PARAM_SCHEDULERS.register_module()
class StepParamScheduler(ParamScheduler):
    """Multiply a parameter by `gamma` every `step_size` steps.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        step_size: Steps between two changes.
        gamma: The factor of a change.
        **window: See `ParamScheduler`.
    """

    counts = ("step_size",)

    def __init__(
        self, optimizer: Optimizing, param_name: str, step_size: int, gamma: float = 0.1, **window: Unpack[Window]
    ) -> None:
        if step_size <= 0:
            raise ValueError(f"step_size is a positive number of steps, not {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, param_name, curve=curves.staircase(step_size, gamma), **window)


@PARAM_SCHEDULERS.register_module()
class MultiStepParamScheduler(ParamScheduler):
    """Multiply a parameter by `gamma` at each milestone.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        milestones: Steps counted from `begin`, in any order.
        gamma: The factor of a change.
        **window: See `ParamScheduler`.
    """

    counts = ("milestones",)

    def __init__(
        self,
        optimizer: Optimizing,
        param_name: str,
        milestones: Sequence[int],
        gamma: float = 0.1,
        **window: Unpack[Window],
    ) -> None:
        self.milestones, self.gamma = (
            dict(Counter(milestones)),
            gamma,
        )  # how often each is named, as checkpoints have it
        super().__init__(optimizer, param_name, curve=curves.multi_step(milestones, gamma), **window)


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingParamScheduler(ParamScheduler):
    """Bring a parameter down to its minimum on half a cosine, and up again should the window go on (arXiv:1608.03983).

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        T_max: Steps to the minimum; by default the length of the window.
        eta_min: The minimum; 0 by default.
        eta_min_ratio: The minimum as a share of the initial value, instead of `eta_min`.
        **window: See `ParamScheduler`.
    """

    counts = ("T_max",)

    def __init__(
        self,
        optimizer: Optimizing,
        param_name: str,
        T_max: int | None = None,
        eta_min: float | None = None,
        eta_min_ratio: float | None = None,
        **window: Unpack[Window],
    ) -> None:
        self.T_max = _length("CosineAnnealingLR", window) if T_max is None else T_max
        if self.T_max <= 0:
            raise ValueError(f"T_max is a positive number of steps, not {T_max}")
        floor = dict(eta_min=eta_min, eta_min_ratio=eta_min_ratio)
        super().__init__(optimizer, param_name, curve=curves.cosine(self.T_max), **floor, **window)


@PARAM_SCHEDULERS.register_module()
class CosineRestartParamScheduler(ParamScheduler):
    """Go down on half a cosine in each period, beginning anew with the next (arXiv:1608.03983).

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        periods: Steps of each period.
        restart_weights: Where each period begins, as a share of the initial value. The last value of all stays.
        eta_min: The minimum; 0 by default.
        eta_min_ratio: The minimum as a share of the initial value, instead of `eta_min`.
        **window: See `ParamScheduler`.
    """

    counts = ("periods",)

    def __init__(
        self,
        optimizer: Optimizing,
        param_name: str,
        periods: Sequence[int],
        restart_weights: Sequence[float] = (1,),
        eta_min: float | None = None,
        eta_min_ratio: float | None = None,
        **window: Unpack[Window],
    ) -> None:
        if len(periods) != len(restart_weights) or not periods:
            raise ValueError(f"{len(restart_weights)} restart_weights are given for {len(periods)} periods")
        self.periods, self.restart_weights = list(periods), list(restart_weights)
        self._heights = dict(zip(accumulate([0, *self.periods[:-1]]), self.restart_weights, strict=True))
        curve = curves.cosine_restarts(self.periods)
        super().__init__(optimizer, param_name, curve=curve, eta_min=eta_min, eta_min_ratio=eta_min_ratio, **window)

    def _moved(self, value: float, base: float, before: float, now: float) -> float:
        height = self._heights.get(self.last_step, 1.0)
        if self.last_step in self._heights and (self.last_step or height != 1):  # a period begins
            return base * height
        return super()._moved(value, base, before, now)


@PARAM_SCHEDULERS.register_module()
class PolyParamScheduler(ParamScheduler):
    """Bring a parameter down to its minimum as a power of what is left of the window.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        eta_min: The minimum, reached at `end - 1`; 0 by default.
        power: 1 is a straight line.
        eta_min_ratio: The minimum as a share of the initial value, instead of `eta_min`.
        **window: See `ParamScheduler`.
    """

    def __init__(
        self,
        optimizer: Optimizing,
        param_name: str,
        eta_min: float | None = None,
        power: float = 1.0,
        eta_min_ratio: float | None = None,
        **window: Unpack[Window],
    ) -> None:
        self.power = power
        curve = curves.polynomial(power, _length("PolyLR", window) - 1)
        super().__init__(optimizer, param_name, curve=curve, eta_min=eta_min, eta_min_ratio=eta_min_ratio, **window)


@PARAM_SCHEDULERS.register_module()
class OneCycleParamScheduler(ParamScheduler):
    """Raise a parameter to `eta_max` and bring it down far below its start: the 1cycle policy (arXiv:1708.07120).

    All parameter groups begin at `eta_max / div_factor`, whatever they held.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        eta_max: The highest value.
        total_steps: Steps of the cycle; by default the length of the window. The last value stays after that.
        pct_start: The share of the cycle that goes up.
        anneal_strategy: 'cos' or 'linear'.
        div_factor: The first value is `eta_max / div_factor`.
        final_div_factor: The last value is the first divided by `final_div_factor`.
        three_phase: Come down in as many steps as up, and go on to the last value in the rest.
        **window: See `ParamScheduler`.
    """

    counts = ("total_steps",)

    def __init__(
        self,
        optimizer: Optimizing,
        param_name: str,
        eta_max: float = 0,
        total_steps: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        **window: Unpack[Window],
    ) -> None:
        length = _length("OneCycleLR", window)
        if total_steps is None and length > INF // 2:
            raise ValueError("OneCycleLR needs total_steps, or the end of its window")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is 'cos' or 'linear', not {anneal_strategy!r}")
        _check_share("pct_start", pct_start)
        if three_phase and pct_start > 0.5:
            raise ValueError(f"three_phase comes down as long as up: pct_start is at most 0.5, not {pct_start}")
        self.eta_max, self.pct_start, self.three_phase = eta_max, pct_start, three_phase
        self.total_steps = length if total_steps is None else total_steps
        if self.total_steps <= 0:
            raise ValueError(f"total_steps is a positive number of steps, not {total_steps}")
        curve = curves.one_cycle(
            self.total_steps,
            pct_start,
            div_factor,
            1 / final_div_factor,
            three_phase=three_phase,
            straight=anneal_strategy == "linear",
        )
        super().__init__(optimizer, param_name, curve=curve, start=eta_max / div_factor, **window)


@PARAM_SCHEDULERS.register_module()
class QuadraticWarmupParamScheduler(ParamScheduler):
    """Raise a parameter from almost 0 to its value as the square of the steps.

    Args:
        optimizer: An optimizer or an `OptimWrapper`.
        param_name: The key in its parameter groups.
        **window: See `ParamScheduler`; `end` must be given.
    """

    def __init__(self, optimizer: Optimizing, param_name: str, **window: Unpack[Window]) -> None:
        if window.get("end", INF) >= INF:
            raise ValueError("QuadraticWarmupLR needs end, the step at which the warm-up is over")
        super().__init__(optimizer, param_name, curve=curves.quadratic(_length("QuadraticWarmupLR", window)), **window)

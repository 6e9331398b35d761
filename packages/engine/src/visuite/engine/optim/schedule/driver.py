"""The driver of every parameter schedule: it owns the window, the counting and the state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any, ClassVar, Self, TypedDict

import torch
from torch.optim import Optimizer

from visuite.engine.logging import print_log
from visuite.engine.optim.schedule.curves import Curve
from visuite.engine.optim.wrapper import OptimWrapper
from visuite.engine.utils.text import did_you_mean

#: "For ever": the documented default of `end`.
INF = int(1e9)
#: What a momentum scheduler is called; it drives beta1 where an optimizer has betas instead.
MOMENTUM = "momentum"


class Window(TypedDict, total=False):
    """The arguments that every scheduler has: when it acts."""

    begin: int
    end: int
    last_step: int
    by_epoch: bool
    verbose: bool


class ParamScheduler:
    """Move one hyper-parameter of all parameter groups along a curve.

    The scheduler counts its calls of `step`. While the count is in [begin, end) it moves the values of the groups;
    outside it leaves them alone, so schedulers follow each other and overlap freely. A curve scales what is there (the
    distance to the floor, which is 0 or `eta_min`) instead of setting it, so groups keep the learning rates that
    `paramwise_cfg` gave them.

    Args:
        optimizer: Whose `param_groups` change: an optimizer or an `OptimWrapper`.
        param_name: The key in a parameter group: 'lr', 'momentum', 'weight_decay', ...
        curve: The share of the value at each step of the window.
        start: A value at which all groups begin, in place of their own.
        eta_min: The floor that the curve comes down to; 0 by default.
        eta_min_ratio: The floor as a share of the initial value, instead of `eta_min`.
        begin: The first step at which the scheduler acts.
        end: The step at which it no longer acts.
        last_step: -1 for a new run; otherwise how far the curve has come, and groups must hold `initial_<param_name>`.
        by_epoch: Whether a step is an epoch or an iteration.
        verbose: Print every new value.

    Raises:
        ValueError: the window is empty or begins before 0, or `last_step` needs initial values that are not there.
        KeyError: the groups have no such parameter; says the nearest.
    """

    #: Arguments that count epochs and so are converted by `build_iter_from_epoch`; numbers or lists of them.
    counts: ClassVar[tuple[str, ...]] = ()
    #: Whether `step` wants the metrics of a validation.
    need_val_args: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the arguments of the window by name in the signature, for error messages and for those who read it."""
        super().__init_subclass__(**kwargs)
        own = [p for p in signature(cls.__init__).parameters.values() if p.kind is not Parameter.VAR_KEYWORD][1:]
        window = [
            p for name, p in signature(ParamScheduler.__init__).parameters.items() if name in Window.__annotations__
        ]
        cls.__signature__ = signature(cls.__init__).replace(parameters=[*own, *window])  # type: ignore[attr-defined]

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        param_name: str,
        *,
        curve: Curve,
        start: float | None = None,
        eta_min: float | None = None,
        eta_min_ratio: float | None = None,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        check_window(type(self).__name__, begin, end)
        if eta_min is not None and eta_min_ratio is not None:
            raise ValueError(f"{type(self).__name__} takes eta_min or eta_min_ratio, not both")
        self.optimizer, self.param_name = optimizer, param_name
        self.begin, self.end, self.by_epoch, self.verbose = begin, end, by_epoch, verbose
        self.curve, self.eta_min_ratio = curve, eta_min_ratio
        self.eta_min = eta_min or 0.0
        self._beta = self._drives_beta()
        if start is not None and last_step == -1:
            self._start_at(start)
        self.base_values = [self._initial_value(group, last_step) for group in self._groups]
        self.last_step = last_step
        self._global_step = -1
        self._last_value = self._read_all()
        self.step()

    # ------------------------------------------------------------------ the parameter in a group

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return self.optimizer.param_groups

    def _drives_beta(self) -> bool:
        options = self._groups[0]
        if self.param_name != MOMENTUM or MOMENTUM in getattr(self.optimizer, "defaults", options):
            return False
        if "betas" in options:
            return True
        raise ValueError(f"{type(self).__name__} needs an optimizer with 'momentum' or 'betas'")

    def _start_at(self, value: float) -> None:
        for group in self._groups:
            self._write(group, value)
            group[f"initial_{self.param_name}"] = value

    def _initial_value(self, group: dict[str, Any], last_step: int) -> float:
        initial = f"initial_{self.param_name}"
        if self.param_name not in group and not self._beta:
            raise KeyError(f"parameter groups have no {self.param_name!r}{did_you_mean(self.param_name, group)}")
        if last_step == -1:
            group.setdefault(initial, self._read(group))
        elif initial not in group:
            raise KeyError(
                f"last_step={last_step} goes on with a schedule, and the parameter groups have no {initial!r}"
            )
        return float(group[initial])

    def _read(self, group: dict[str, Any]) -> float:
        return float(group["betas"][0] if self._beta else group[self.param_name])

    def _read_all(self) -> list[float]:
        return [self._read(group) for group in self._groups]

    def _write(self, group: dict[str, Any], value: float) -> None:
        if self._beta:
            group["betas"] = (value, *group["betas"][1:])
        elif isinstance(group[self.param_name], torch.Tensor):  # captured by a graph: it must stay the same tensor
            group[self.param_name].fill_(value)
        else:
            group[self.param_name] = value

    # ------------------------------------------------------------------ stepping

    def step(self) -> None:
        """Count one epoch or iteration and, inside the window, move the values."""
        self._global_step += 1
        if self.begin <= self._global_step < self.end:
            self.last_step += 1
            self._move()

    def _move(self) -> None:
        before, now = (self.curve(self.last_step - 1) if self.last_step else 1.0), self.curve(self.last_step)
        self._last_value = []
        for group, base in zip(self._groups, self.base_values, strict=True):
            value = self._read(group)
            moved = self._moved(value, base, before, now)
            if moved != value:
                self._write(group, moved)
            self._last_value.append(moved)
        if self.verbose:
            for index, value in enumerate(self._last_value):
                self.print_value(self.verbose, index, value)

    def _moved(self, value: float, base: float, before: float, now: float) -> float:
        """Return the next value of a group, from its value and the shares that the curve left before and leaves now."""
        if before == now:
            return value
        floor = self._floor(base)
        if before == 0:  # nothing is left to scale: the curve rises from the floor to the initial value
            return floor + (base - floor) * now
        return floor + (value - floor) * (now / before)

    def _floor(self, base: float) -> float:
        return self.eta_min if self.eta_min_ratio is None else base * self.eta_min_ratio

    def get_last_value(self) -> list[float]:
        """Return the value of each group after the scheduler last acted."""
        return list(self._last_value)

    def print_value(self, is_verbose: bool, group: int, value: float) -> None:
        """Print the value of a group."""
        if is_verbose:
            unit = "epoch" if self.by_epoch else "iteration"
            print_log(
                f"{self.param_name} of group {group} is {value:.4e} from {unit} {self._global_step} on", "current"
            )

    # ------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the plan, as plain numbers, strings and lists."""
        return {**self._plan(), **self._position()}

    def _plan(self) -> dict[str, Any]:
        """What the config says of the curve: all public attributes that are plain values."""
        plain = (bool, int, float, str, list, dict, type(None))
        left_out = {"base_values", "last_step", "verbose"}
        return {k: v for k, v in vars(self).items() if k[0] != "_" and k not in left_out and isinstance(v, plain)}

    def _position(self) -> dict[str, Any]:
        names = ("base_values", "last_step", "_global_step", "_last_value")
        return {name: list(v) if isinstance(v := getattr(self, name), list) else v for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a saved position, on the curve that this run's config gives.

        Raises:
            ValueError: the state is of an optimizer with another number of parameter groups.
        """
        saved = state_dict.get("base_values", state_dict.get("_last_value"))
        if saved is not None and len(saved) != len(self._groups):
            raise ValueError(
                f"{type(self).__name__}: the state has {len(saved)} parameter groups, the optimizer {len(self._groups)}"
            )
        for name, value in state_dict.items():
            if name in self._position():
                setattr(self, name, list(value) if isinstance(value, (list, tuple)) else value)

    def plan_changes(self, state_dict: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return {argument: (saved, now)} for what this run's config changes in the saved schedule."""
        mine = self.state_dict()
        return {k: (state_dict[k], v) for k, v in mine.items() if k in self._plan() and state_dict.get(k, v) != v}

    # ------------------------------------------------------------------ epochs to iterations

    @classmethod
    def build_iter_from_epoch(
        cls, optimizer: Optimizer | OptimWrapper, *args: Any, epoch_length: int, by_epoch: bool = True, **kwargs: Any
    ) -> Self:
        """Build a scheduler that goes by iteration from arguments that count epochs.

        Args:
            optimizer: As for the constructor.
            *args: As for the constructor.
            epoch_length: Iterations of an epoch.
            by_epoch: Must be True: it says what the arguments count.
            **kwargs: As for the constructor.

        Raises:
            ValueError: the arguments do not count epochs, or an epoch has no iterations.
        """
        if not by_epoch:
            raise ValueError("convert_to_iter_based turns epochs into iterations, and by_epoch is False")
        if not isinstance(epoch_length, int) or epoch_length <= 0:
            raise ValueError(f"epoch_length is the number of iterations of an epoch, not {epoch_length!r}")
        return cls(optimizer, *args, by_epoch=False, **cls.to_iterations(kwargs, epoch_length))

    @classmethod
    def to_iterations(cls, arguments: dict[str, Any], epoch_length: int) -> dict[str, Any]:
        """Return the arguments with every count of epochs turned into one of iterations."""
        counting = {"begin", "end", *cls.counts}
        return {k: _scaled(v, epoch_length) if k in counting else v for k, v in arguments.items()}


def _scaled(count: Any, epoch_length: int) -> Any:
    if count is None or count == INF:
        return count
    if isinstance(count, Sequence):
        return [_scaled(one, epoch_length) for one in count]
    return int(count * epoch_length)


def check_window(name: str, begin: float, end: float) -> None:
    """Refuse a window that is empty or begins before the run.

    Raises:
        ValueError: says both ends.
    """
    if begin < 0 or end <= begin:
        raise ValueError(f"{name} acts from begin up to but not including end: 0 <= begin < end, not {begin} and {end}")


def each_scheduler(schedulers: Any) -> Iterator[Any]:
    """Go through the schedulers of one optimizer, or of several by name."""
    if isinstance(schedulers, dict):
        for some in schedulers.values():
            yield from some
    else:
        yield from schedulers

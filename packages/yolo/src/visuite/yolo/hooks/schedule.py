"""Schedules that say the rates of each iteration outright, and the curves they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visuite.engine.hooks import Hook
from visuite.engine.hooks.hook import DataBatch
from visuite.engine.hooks.pipeline_switch import require_epochs
from visuite.engine.optim import each_scheduler
from visuite.engine.optim.schedule.curves import half_cosine, linear
from visuite.engine.runner.plan import restore_hyper_parameters

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


def warmup_length(epochs: float, least: int, epoch_length: int) -> int:
    """Return the iterations of a warm-up that lasts so many epochs, and at least so many iterations."""
    return max(least, round(epochs * epoch_length))


def warm(start: float, goal: float, t: int, steps: int) -> float:
    """Return where step `t` stands on the straight way from `start` to `goal`, which is reached at `steps`."""
    return linear(start, goal, steps)(t) if t < steps else goal


def fall(floor: float, t: float, steps: float) -> float:
    """Return half a cosine wave from 1 at step 0 down to `floor` at `steps`, where it stays (arXiv:1608.03983)."""
    return floor + (1 - floor) * half_cosine(t, steps) if t < steps else floor


def require_at_least(least: float, **values: float) -> None:
    """Check that numbers, given by their names, are not too small.

    Raises:
        ValueError: one is, or is not a number; says which.
    """
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{name} is at least {least}, not {value}")


@dataclass(frozen=True)
class Place:
    """Where in a run an iteration stands.

    Args:
        epoch: Epochs before its own.
        iteration: Iterations before it, in all epochs.
        epoch_length: Iterations of an epoch.
    """

    epoch: int
    iteration: int
    epoch_length: int


class EachIterationSchedule(Hook, ABC):
    """Set the options of parameter groups before each iteration, by its place in the run alone.

    What a group begins from is what this run's config says, whatever a checkpoint holds. So nothing has to be kept: a
    resumed run goes on exactly, or, under a changed config, as if it had always been so. Such a hook takes the place of
    `ParamSchedulerHook`, at `default_hooks.param_scheduler`.
    """

    priority = "HIGHEST"  # RuntimeInfoHook, soon after, writes down the rates of this iteration

    @abstractmethod
    def values(self, group: Mapping[str, Any], place: Place) -> dict[str, float]:
        """Return what a group trains with at a place.

        Args:
            group: The group's options as the config makes them.
            place: Where the iteration stands.
        """

    def before_train(self, runner: Runner) -> None:
        """Find faults before the first iteration.

        Raises:
            ValueError: the run has no epochs, or schedulers that would change the same rates.
        """
        require_epochs(self, runner)
        others = sorted({type(one).__name__ for one in each_scheduler(runner.param_schedulers)})
        if others:
            raise ValueError(
                f"{type(self).__name__} sets all rates by itself, and param_scheduler has {', '.join(others)}: "
                "write param_scheduler = None, or default_hooks.param_scheduler = dict(type='ParamSchedulerHook')"
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None) -> None:
        """Set the options of every group, the base rate that logs show among them."""
        plan = runner.plan
        place = Place(runner.epoch, runner.iter, plan.epoch_length)
        restore_hyper_parameters(runner.optim_wrapper, [self.values(group, place) for group in plan.hyper_parameters])

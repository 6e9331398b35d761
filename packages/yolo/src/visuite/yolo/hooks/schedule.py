"""What schedules have in common that set the rates of each iteration anew."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visuite.engine.hooks import Hook
from visuite.engine.hooks.hook import DataBatch
from visuite.engine.hooks.pipeline_switch import require_epochs

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@dataclass(frozen=True)
class Place:
    """Where in a run an iteration stands.

    Attributes:
        epoch: Finished epochs.
        iteration: Finished iterations, of all epochs.
        epoch_length: Iterations of an epoch.
    """

    epoch: int
    iteration: int
    epoch_length: int


class EachIterationSchedule(Hook, ABC):
    """Set what a parameter group trains with before each iteration: a function of the place in the run, and no more.

    It begins from the groups as the run's config makes them, so that a resumed run goes on exactly, and a changed
    config holds from there on. It stands where `ParamSchedulerHook` would: `default_hooks.param_scheduler`.
    """

    #: Before `RuntimeInfoHook`, which logs the rates of the iteration that begins.
    priority = 9

    @abstractmethod
    def values(self, group: Mapping[str, Any], place: Place) -> dict[str, float]:
        """Return the options of a group in an iteration, the group being as it was before the first."""

    def before_train(self, runner: Runner) -> None:
        """Look for what cannot be.

        Raises:
            ValueError: the run counts iterations alone, or `param_scheduler` has schedules, too.
        """
        require_epochs(self, runner)
        if runner.param_schedulers:
            raise ValueError(f"{type(self).__name__} sets all rates by itself: param_scheduler has to be None")

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DataBatch = None) -> None:
        """Set the options of all groups."""
        place = Place(runner.epoch, runner.iter, len(runner.train_dataloader))
        for group, planned in zip(runner.optim_wrapper.param_groups, runner.plan.hyper_parameters, strict=True):
            group.update(self.values(planned, place))


def warmup_length(epochs: float, least: int, epoch_length: int) -> int:
    """Return the iterations of a warm-up that is given in epochs, but is never shorter than a number of iterations."""
    return max(round(epochs * epoch_length), least)


def line(start: float, end: float, share: float) -> float:
    """Return the value at a share of the way from a start to an end."""
    return start + (end - start) * share

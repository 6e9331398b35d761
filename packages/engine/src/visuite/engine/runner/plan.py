"""Resuming under a changed plan: what changed, and what becomes of the position and the schedules.

The policy, which is printed whenever it applies:

- Training by epochs goes on in the same epoch, at the first whole batch that was not begun; iterations are recounted.
- Training by iterations goes on at the same iteration; the data stream goes on at the sample it had come to.
- The optimizer keeps its moments. Learning rates and all other hyper-parameters are this run's: schedules are replayed
  from the beginning to the position, those that follow a metric keep what they have seen.
- An optimizer of another class, or with other parameter groups, begins anew.
- Gradients of an open accumulation window are dropped when the batch size, the number of ranks or the length of windows
  changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from visuite.engine.logging.plain import to_plain
from visuite.engine.optim import OptimWrapper, OptimWrapperDict, ReduceOnPlateauParamScheduler, each_scheduler

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

POLICY = (
    "training goes on from the same place in the data; the optimizer {}; learning rates and other hyper-parameters are "
    "those of this run, its schedules replayed up to here"
)
#: What becomes of the optimizer.
KEPT, ANEW = "keeps its moments", "begins anew, as its class or its parameter groups are others"


@dataclass(frozen=True)
class Plan:
    """What a run intends, as far as going on from a checkpoint depends on it.

    Args:
        by_epoch: Whether epochs or iterations measure the run.
        batch_size: Samples of an iteration, over all ranks; 0 where the loader does not tell.
        world_size: Ranks.
        epoch_length: Iterations of an epoch; 0 where the loader has no length.
        max_epochs, max_iters: The length of the run.
        hyper_parameters: Of every parameter group, before the first step.
        schedules: The classes of the schedulers.
        optimizers: Those of the optimizers; None in plans that were saved before they were written down.
        accumulative_counts: The length of each optimizer's windows; None likewise.
    """

    by_epoch: bool
    batch_size: int
    world_size: int
    epoch_length: int
    max_epochs: int
    max_iters: int
    hyper_parameters: list[dict[str, Any]]
    schedules: list[str]
    optimizers: list[str] | None = None
    accumulative_counts: list[int] | None = None

    @classmethod
    def of(cls, runner: Runner, hyper_parameters: list[dict[str, Any]]) -> Self:
        """Read the plan of a run."""
        loader, loop = runner.train_dataloader, runner.train_loop
        batch_size = getattr(getattr(loader, "batch_sampler", None), "batch_size", None) or 0
        return cls(
            by_epoch=loop.by_epoch,
            batch_size=batch_size * runner.world_size,
            world_size=runner.world_size,
            epoch_length=len(loader) if hasattr(loader, "__len__") else 0,
            max_epochs=loop.max_epochs,
            max_iters=loop.max_iters,
            hyper_parameters=hyper_parameters,
            schedules=[type(one).__name__ for one in each_scheduler(runner.param_schedulers)],
            optimizers=[type(one.optimizer).__name__ for one in _wrappers(runner.optim_wrapper)],
            accumulative_counts=[one.accumulative_counts for one in _wrappers(runner.optim_wrapper)],
        )

    @classmethod
    def from_checkpoint(cls, saved: Mapping[str, Any] | None) -> Self | None:
        """Read the plan in a checkpoint; None where there is none, as in OpenMMLab's."""
        return None if saved is None else cls(**saved)

    def to_checkpoint(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return to_plain(asdict(self))

    def changes(self, saved: Plan) -> list[str]:
        """Say what this plan changes in a saved one."""
        mine, theirs = self.to_checkpoint(), saved.to_checkpoint()
        told = [f"{name}: {theirs[name]} -> {mine[name]}" for name in mine if _differ(name, mine, theirs)]
        mine_groups, their_groups = self.hyper_parameters, saved.hyper_parameters
        if len(mine_groups) != len(their_groups):
            return [*told, f"parameter groups: {len(their_groups)} -> {len(mine_groups)}"]
        for index, (now, then) in enumerate(zip(mine_groups, their_groups, strict=True)):
            told += [f"{k} of group {index}: {then[k]} -> {now[k]}" for k in now if k in then and now[k] != then[k]]
        return told

    def has_batches_of(self, other: Plan) -> bool:
        """Tell whether iterations and windows have as many samples, on as many ranks, as in another plan."""
        same_windows = other.accumulative_counts in (None, self.accumulative_counts)
        return same_windows and (self.batch_size, self.world_size) == (other.batch_size, other.world_size)

    def has_optimizer_of(self, other: Plan) -> bool:
        """Tell whether the optimizer can go on with the moments of another plan's."""
        same_class = other.optimizers in (None, self.optimizers)
        return same_class and len(self.hyper_parameters) == len(other.hyper_parameters)

    def translate(self, position: Mapping[str, int], saved: Plan) -> dict[str, int]:
        """Return where in this plan a position of a saved one lies."""
        moved = dict(position)
        if not (self.batch_size and saved.batch_size) or "batch" not in position:
            return moved
        moved["batch"] = math.ceil(position["batch"] * saved.batch_size / self.batch_size)
        if self.by_epoch and self.epoch_length:
            moved["batch"] = min(moved["batch"], self.epoch_length)
            moved["iter"] = position["epoch"] * self.epoch_length + moved["batch"]
            validated_epochs = position["validated"] // max(saved.epoch_length, 1)
            moved["validated"] = validated_epochs * self.epoch_length
        return moved


def _differ(name: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    return name != "hyper_parameters" and theirs[name] is not None and mine[name] != theirs[name]


def _wrappers(optim_wrapper: Any) -> list[OptimWrapper]:
    return list(optim_wrapper.values()) if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]


def hyper_parameters(optim_wrapper: Any) -> list[dict[str, Any]]:
    """Return the values of every parameter group, without the parameters."""
    groups = [group for wrapper in _wrappers(optim_wrapper) for group in wrapper.param_groups]
    return [{key: value for key, value in group.items() if key != "params"} for group in groups]


def restore_hyper_parameters(optim_wrapper: Any, values: list[dict[str, Any]]) -> None:
    """Put values that `hyper_parameters` returned back into the groups."""
    groups = [group for wrapper in _wrappers(optim_wrapper) for group in wrapper.param_groups]
    for group, value in zip(groups, values, strict=True):
        group.update(value)


def replay(schedulers: Any, states: Any, position: Mapping[str, int]) -> None:
    """Step fresh schedulers to a position; those that follow a metric take their saved state where it fits."""
    saved = list(each_scheduler(states or []))
    for index, scheduler in enumerate(each_scheduler(schedulers)):
        if isinstance(scheduler, ReduceOnPlateauParamScheduler):
            if index < len(saved) and "best" in saved[index]:
                _resume_plateau(scheduler, saved[index])
            continue
        for _ in range(position["epoch"] if scheduler.by_epoch else position["iter"]):
            scheduler.step()


def _resume_plateau(scheduler: ReduceOnPlateauParamScheduler, state: Mapping[str, Any]) -> None:
    """Keep what it has seen, and reduce this run's values as often as the saved ones were."""
    scheduler.load_state_dict(state)
    shares = zip(scheduler.optimizer.param_groups, state["base_values"], state["_last_value"], strict=True)
    for group, base, last in shares:
        group[scheduler.param_name] *= last / base if base else 1.0

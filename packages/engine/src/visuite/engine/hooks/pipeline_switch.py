"""Change how samples are made while training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from visuite.engine.dataset.compose import Compose
from visuite.engine.dataset.feed import restart_workers
from visuite.engine.hooks.hook import Hook
from visuite.engine.registry import HOOKS, config_path

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class PipelineSwitchHook(Hook):
    """Give the training data another pipeline from an epoch on.

    Not one sample of the old pipeline comes after the switch, whatever workers read ahead, and a run that is resumed
    after it has the new pipeline at once.

    Args:
        switch_epoch: How many epochs come before.
        switch_pipeline: The new transforms.
    """

    priority = "NORMAL"

    def __init__(self, switch_epoch: int, switch_pipeline: Sequence[Any]) -> None:
        self.switch_epoch = switch_epoch
        self.switch_pipeline = switch_pipeline
        self._switched = False

    def before_train(self, runner: Runner) -> None:
        """Find faults of the new pipeline now, not after days of training."""
        require_epochs(self, runner)
        with config_path("switch_pipeline"):
            Compose(self.switch_pipeline)
        require_pipeline(runner.train_dataloader.dataset)
        self._switched = False

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch when it is time."""
        if runner.epoch >= self.switch_epoch and not self._switched:
            switch_pipeline(runner.train_dataloader, self.switch_pipeline)
            self._switched = True
            runner.logger.info(f"the training pipeline is switched, epoch {runner.epoch + 1}")


def switch_pipeline(loader: Any, pipeline: Sequence[Any]) -> None:
    """Give the data sets of a loader another pipeline, effective from its next epoch on.

    Raises:
        TypeError: no data set has a pipeline.
    """
    require_pipeline(loader.dataset)
    for dataset in with_pipelines(loader.dataset):
        dataset.pipeline = Compose(pipeline)
    restart_workers(loader)


def with_pipelines(dataset: Any) -> Iterator[Any]:
    """Go through the outermost data sets that have a pipeline: one that mixes samples comes before those it mixes."""
    if getattr(dataset, "pipeline", None) is not None:
        yield dataset
    else:
        for inside in wrapped(dataset):
            yield from with_pipelines(inside)


def everywhere(dataset: Any) -> Iterator[Any]:
    """Go through a data set and all that it wraps."""
    yield dataset
    for inside in wrapped(dataset):
        yield from everywhere(inside)


def wrapped(dataset: Any) -> list[Any]:
    """Return the data sets that a wrapper is made of."""
    own = vars(dataset) if hasattr(dataset, "__dict__") else {}
    inside = [own["dataset"]] if own.get("dataset") is not None else []
    return [*inside, *(own.get("datasets") or ())]


def require_pipeline(dataset: Any) -> None:
    """Check that there is a pipeline to switch.

    Raises:
        TypeError: no data set has one.
    """
    if next(with_pipelines(dataset), None) is None:
        names = " of ".join(type(one).__name__ for one in everywhere(dataset))
        raise TypeError(f"the training data ({names}) has no pipeline that could be switched")


def require_epochs(hook: Hook, runner: Runner) -> None:
    """Check that the run has epochs at which something can change.

    Raises:
        ValueError: it counts iterations.
    """
    if not getattr(runner.train_loop, "by_epoch", True):
        raise ValueError(f"{type(hook).__name__} switches at an epoch, and this run counts iterations alone")

"""Stop at a loss that is not a number, and say which samples gave it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visuite.engine.dataset.feed import keys_of_batch
from visuite.engine.fileio import atomic_write
from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

#: What tells a person which sample it was.
SAMPLE_KEYS = ("img_path", "img_id", "sample_idx")


class InvalidLossError(FloatingPointError):
    """A loss became NaN or infinite."""


@dataclass(frozen=True)
class Step:
    """What is remembered of an iteration until its losses are read."""

    epoch: int
    iteration: int
    batch_idx: int
    losses: dict[str, Tensor | float]
    samples: list[dict[str, Any]]


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """Check the losses of every iteration (what is logged with `loss` in its name), and stop at the first bad one.

    Bad is NaN or infinite. Losses are read from the device once in `interval` iterations, all at once, so that
    checking does not slow training down. They are also read before a checkpoint is written: none holds weights that
    such a loss has spoilt. The samples of the bad batch and its losses are written to `work_dir`.

    Args:
        interval: How many iterations are read together.

    Raises:
        ValueError: an interval below 1.
    """

    priority = "BELOW_NORMAL"  # before what saves

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f"CheckInvalidLossHook: interval is at least 1, not {interval}")
        self.interval = interval
        self._unread: list[Step] = []

    def before_train(self, runner: Runner) -> None:
        """Forget what an earlier run of the same hook left."""
        self._unread.clear()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Remember the losses; read them when they are enough."""
        losses = {name: value for name, value in (outputs or {}).items() if "loss" in name and is_scalar(value)}
        if losses:
            self._unread.append(Step(runner.epoch, runner.iter, batch_idx, losses, describe_samples(data_batch)))
        if len(self._unread) >= self.interval:
            self._read(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Read what is unread."""
        self._read(runner)

    def after_train(self, runner: Runner) -> None:
        """Read what is unread."""
        self._read(runner)

    def _read(self, runner: Runner) -> None:
        steps, self._unread = self._unread, []
        if not steps:
            return
        bad = (~torch.stack([all_finite(one.losses.values(), runner.device) for one in steps])).nonzero()
        if len(bad):
            self._stop(runner, steps[int(bad[0])])

    def _stop(self, runner: Runner, step: Step) -> None:
        losses = {name: float(value) for name, value in step.losses.items()}
        invalid = {name: value for name, value in losses.items() if not math.isfinite(value)}
        keys = keys_of_batch(runner.train_dataloader, step.epoch, step.batch_idx)
        path = Path(runner.work_dir, f"invalid_loss_iter{step.iteration + 1}_rank{runner.rank}.json")
        report = dict(
            iteration=step.iteration + 1, epoch=step.epoch + 1, batch=step.batch_idx, rank=runner.rank,
            seed=runner.seed, losses={name: as_json(value) for name, value in losses.items()}, samples=step.samples,
            indices=None if keys is None else [int(key) for key in keys],
        )  # fmt: skip
        with atomic_write(path) as file:
            file.write(json.dumps(report, indent=2).encode())
        named = ", ".join(f"{name} is {value}" for name, value in invalid.items())
        raise InvalidLossError(
            f"{named} at iteration {step.iteration + 1} (epoch {step.epoch + 1}, batch {step.batch_idx}); "
            f"the samples of this batch are in {path}"
        )


def is_scalar(value: Any) -> bool:
    """Tell whether a logged value is one number, on the host or on a device."""
    return isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.ndim == 0)


def all_finite(values: Iterable[Tensor | float], device: torch.device) -> Tensor:
    """Return, as a bool () on the device, whether all numbers are finite."""
    return torch.stack([torch.as_tensor(value, device=device).float() for value in values]).isfinite().all()


def as_json(value: float) -> float | str:
    """Return a number; one that JSON does not have as text."""
    return value if math.isfinite(value) else str(value)


def describe_samples(data_batch: Any) -> list[dict[str, Any]]:
    """Return what the data samples of a batch say of where they come from; nothing where they say nothing."""
    samples = data_batch.get("data_samples") if isinstance(data_batch, Mapping) else data_batch
    found: list[dict[str, Any]] = []
    _collect(samples, found)
    return found


def _collect(samples: Any, found: list[dict[str, Any]]) -> None:
    """Go through nested lists of data samples, and dicts of such lists by branch."""
    if isinstance(samples, Mapping) and not samples.keys() & set(SAMPLE_KEYS):
        samples = list(samples.values())
    if isinstance(samples, Sequence) and not isinstance(samples, str):
        for one in samples:
            _collect(one, found)
    elif callable(getattr(samples, "get", None)):
        told = {key: samples.get(key) for key in SAMPLE_KEYS}
        told = {key: str(value) if isinstance(value, Path) else value for key, value in told.items()}
        if kept := {key: value for key, value in told.items() if isinstance(value, (str, int, list))}:
            found.append(kept)

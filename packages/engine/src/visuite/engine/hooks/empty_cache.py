"""Give unused accelerator memory back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class EmptyCacheHook(Hook):
    """Return cached, unused memory of the accelerator to the system, in training, validation and test.

    Args:
        before_epoch: Before each epoch.
        after_epoch: After each epoch.
        after_iter: After each iteration, which is slow.
    """

    priority = "NORMAL"

    def __init__(self, before_epoch: bool = False, after_epoch: bool = True, after_iter: bool = False) -> None:
        self.before_epoch = before_epoch
        self.after_epoch = after_epoch
        self.after_iter = after_iter

    def _before_epoch(self, runner: Runner, mode: str = "train") -> None:
        if self.before_epoch:
            empty_cache(runner.device)

    def _after_epoch(self, runner: Runner, mode: str = "train") -> None:
        if self.after_epoch:
            empty_cache(runner.device)

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None, mode: str = "train"
    ) -> None:
        if self.after_iter:
            empty_cache(runner.device)


def empty_cache(device: torch.device) -> None:
    """Empty the cache of a device's allocator; the CPU has none."""
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()

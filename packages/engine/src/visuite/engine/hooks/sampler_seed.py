"""Shuffle anew each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visuite.engine.dataset.feed import set_epoch
from visuite.engine.hooks.hook import Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class DistSamplerSeedHook(Hook):
    """Tell the training sampler which epoch begins; our loops do so too, a user's own need not."""

    priority = "NORMAL"

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the epoch of the loader's samplers."""
        set_epoch(runner.train_dataloader, runner.epoch)

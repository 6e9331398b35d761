"""Make the buffers of all ranks alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import Tensor

from visuite.engine.dist import all_reduce_params, is_distributed
from visuite.engine.hooks.hook import Hook
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average the floating-point buffers of all ranks, such as the statistics of batch norm.

    It does so after each training epoch and before each validation, so that every rank validates, and the
    first rank saves, the same model. One process alone has nothing to do.
    """

    priority = "NORMAL"

    def after_train_epoch(self, runner: Runner) -> None:
        """Average at the end of the epoch."""
        self._average(runner)

    def before_val(self, runner: Runner) -> None:
        """Average where validation comes within an epoch."""
        self._average(runner)

    def _average(self, runner: Runner) -> None:
        if is_distributed():
            all_reduce_params(floating(runner.model.buffers()), op="mean")


def floating(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return those tensors that have a mean."""
    return [one for one in tensors if one.is_floating_point()]

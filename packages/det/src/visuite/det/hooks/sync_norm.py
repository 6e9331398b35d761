"""Equal statistics of batch norms on all ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

from visuite.det.registry import HOOKS
from visuite.engine.dist import all_reduce_params, is_distributed
from visuite.engine.hooks import Hook

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class SyncNormHook(Hook):
    """Average what norms remember over the ranks before each validation; one process has nothing to do."""

    priority = "NORMAL"

    def before_val_epoch(self, runner: Runner) -> None:
        """Average the statistics."""
        if is_distributed():
            norms = (layer for layer in runner.model.modules() if isinstance(layer, _NormBase))
            kept: list[Tensor] = [one for norm in norms for one in norm.buffers() if one.is_floating_point()]
            all_reduce_params(kept, op="mean")

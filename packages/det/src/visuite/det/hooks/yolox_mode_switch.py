"""The last epochs of YOLOX: without strong augmentation, with an L1 loss (Ge et al., arXiv:2107.08430)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from visuite.det.registry import HOOKS
from visuite.engine.dataset.feed import restart_workers
from visuite.engine.hooks import Hook
from visuite.engine.hooks.pipeline_switch import everywhere, require_epochs
from visuite.engine.model import unwrap_model

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class YOLOXModeSwitchHook(Hook):
    """Leave out transforms that mix images, and switch the head's L1 loss on, for the last epochs.

    Not one mixed sample comes after the switch, whatever workers read ahead, and a run that is resumed after it begins
    without them.

    Args:
        num_last_epochs: How many epochs those are.
        skip_type_keys: Names of the transforms that are left out.
    """

    priority = "NORMAL"

    def __init__(
        self, num_last_epochs: int = 15, skip_type_keys: Sequence[str] = ("Mosaic", "RandomAffine", "MixUp")
    ) -> None:
        self.num_last_epochs = num_last_epochs
        self.skip_type_keys = tuple(skip_type_keys)
        self._switched = False

    def before_train(self, runner: Runner) -> None:
        """Find a data set that mixes nothing, or a run without epochs, now rather than at the end.

        Raises:
            TypeError: there is nothing to switch off.
            ValueError: the run counts iterations.
        """
        require_epochs(self, runner)
        if not any(_mixing(runner)):
            raise TypeError("YOLOXModeSwitchHook needs training data of type MultiImageMixDataset")

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch when it is time."""
        if self._switched or runner.epoch < runner.max_epochs - self.num_last_epochs:
            return
        for dataset in _mixing(runner):
            dataset.update_skip_type_keys(self.skip_type_keys)
        restart_workers(runner.train_dataloader)
        head: Any = getattr(unwrap_model(runner.model), "bbox_head", None)
        if head is not None:
            head.use_l1 = True
        self._switched = True
        names = ", ".join(self.skip_type_keys)
        runner.logger.info(f"epoch {runner.epoch + 1}: from now on without {names}, and with an L1 loss")


def _mixing(runner: Runner) -> list[Any]:
    """Return the data sets that mix images."""
    found = everywhere(runner.train_dataloader.dataset)
    return [dataset for dataset in found if hasattr(dataset, "update_skip_type_keys")]

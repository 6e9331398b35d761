"""The last epochs of YOLOX: without strong augmentation, with an L1 loss (Ge et al., arXiv:2107.08430)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from visuite.engine.dataset.compose import Compose
from visuite.engine.hooks import Hook
from visuite.engine.hooks.pipeline_switch import require_epochs, require_pipeline, switch_pipeline
from visuite.engine.model import unwrap_model
from visuite.engine.registry import config_path
from visuite.yolo.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class YOLOXModeSwitchHook(Hook):
    """Give the training data another pipeline, and the head its L1 loss (`use_bbox_aux`), for the last epochs.

    Not one sample of the old pipeline comes after the switch, whatever workers read ahead, and a run that is resumed
    after it begins with the new one.

    Args:
        num_last_epochs: How many epochs those are.
        new_train_pipeline: The transforms of the last epochs; by default they stay what they were.
    """

    priority = "NORMAL"

    def __init__(self, num_last_epochs: int = 15, new_train_pipeline: Sequence[Any] | None = None) -> None:
        self.num_last_epochs = num_last_epochs
        self.new_train_pipeline = new_train_pipeline
        self._switched = False

    def before_train(self, runner: Runner) -> None:
        """Find faults now rather than at the end.

        Raises:
            TypeError: the head has no L1 loss to switch on, or the data no pipeline to switch.
            ValueError: the run counts iterations.
        """
        require_epochs(self, runner)
        if not hasattr(_head(runner), "use_bbox_aux"):
            raise TypeError(
                f"YOLOXModeSwitchHook switches the head's use_bbox_aux, which {type(_head(runner)).__name__} does not "
                "have; PipelineSwitchHook switches the pipeline alone"
            )
        if self.new_train_pipeline is not None:
            with config_path("new_train_pipeline"):
                Compose(self.new_train_pipeline)
            require_pipeline(runner.train_dataloader.dataset)

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch when it is time."""
        if self._switched or runner.epoch < runner.max_epochs - self.num_last_epochs:
            return
        if self.new_train_pipeline is not None:
            switch_pipeline(runner.train_dataloader, self.new_train_pipeline)
        _head(runner).use_bbox_aux = True
        self._switched = True
        runner.logger.info(f"epoch {runner.epoch + 1}: from now on with an L1 loss, and the last pipeline")


def _head(runner: Runner) -> Any:
    return getattr(unwrap_model(runner.model), "bbox_head", None)

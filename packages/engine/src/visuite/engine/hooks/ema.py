"""Train one set of weights, evaluate and publish their average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from visuite.engine.dist import broadcast
from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.model.averaged import BaseAveragedModel
from visuite.engine.model.checkpoint_io import load_state_dict
from visuite.engine.model.sharding import gather_no_longer, is_part, loading, local
from visuite.engine.model.wrapping import unwrap_model
from visuite.engine.registry import HOOKS, MODELS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class EMAHook(Hook):
    """Average the weights while training; validation, test and published checkpoints have the average.

    In a checkpoint `state_dict` is the average, so that whoever loads it gets what was validated, and
    `ema_state_dict` holds the weights that are being trained (`module.*`) and how often they were averaged (`steps`).
    A resumed run puts both back in their places; a run that only starts from a checkpoint trains on from its average.

    Args:
        ema_type: The kind of average: 'ExponentialMovingAverage', 'MomentumAnnealingEMA', 'ExpMomentumEMA',
            'StochasticWeightAverage', or any registered model with their interface.
        strict_load: Whether a resumed `ema_state_dict` must have every key.
        begin_iter: Average from this iteration (counted from 1) on.
        begin_epoch: Average from this epoch (counted from 1) on; before it, the trained weights are evaluated.
        **kwargs: For the average: `momentum`, `interval`, `update_buffers`, `device`, `gamma`.

    Raises:
        ValueError: a negative beginning, or one of both kinds.
    """

    priority = "NORMAL"

    def __init__(
        self,
        ema_type: str = "ExponentialMovingAverage",
        strict_load: bool = False,
        begin_iter: int = 0,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        if begin_iter < 0 or begin_epoch < 0:
            raise ValueError(f"EMAHook: averaging begins at 0 or later, not {begin_iter=}, {begin_epoch=}")
        if begin_iter and begin_epoch:
            raise ValueError(f"EMAHook: give begin_iter or begin_epoch, not both ({begin_iter} and {begin_epoch})")
        self.strict_load = strict_load
        self.begin_iter = begin_iter
        self.begin_epoch = begin_epoch
        self.ema_cfg = dict(kwargs, type=ema_type)
        self.ema_model: BaseAveragedModel | None = None
        self._resumed: Mapping[str, Any] | None = None  # an ema_state_dict between loading and training
        self._swapped = False  # whether the model has the average now, and the average the trained weights

    # ------------------------------------------------------------------ averaging

    def before_train(self, runner: Runner) -> None:
        """Begin the average, or go on with that of the checkpoint."""
        if self.begin_iter > runner.max_iters or self.begin_epoch > runner.max_epochs:
            begin = f"begin_iter={self.begin_iter}" if self.begin_iter else f"begin_epoch={self.begin_epoch}"
            runner.logger.warning(
                f"EMAHook: {begin} lies behind the end of the run, which has {runner.max_epochs} epochs and "
                f"{runner.max_iters} iterations: nothing will be averaged"
            )
        average = self.ema_model or self._begin(runner)
        if self._resumed is not None and runner.iter > 0:
            with loading(average):
                load_state_dict(average, self._resumed, strict=self.strict_load, logger=runner.logger)
            exchange(average, self._source)  # the checkpoint's weights, which the model has so far, are the average
        elif runner.iter > 0 and self._has_begun(runner) and not average.steps:
            runner.logger.warning("the checkpoint has no ema_state_dict: averaging begins anew from its weights")
        self._resumed = None
        runner.at_end.callback(self._use_trained)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Take the new weights into the average."""
        if self._has_begun(runner):  # without an average, other weights were loaded in the middle of the run
            average = self.ema_model or self._begin(runner)
            average.update_parameters(self._source)

    def _begin(self, runner: Runner) -> BaseAveragedModel:
        self._source = unwrap_model(runner.model)
        self.ema_model = average = MODELS.build(self.ema_cfg, default_args={"model": self._source})
        average.zero_grad()  # a copied gradient would only take memory
        return average

    def _has_begun(self, runner: Runner) -> bool:
        return runner.iter + 1 >= self.begin_iter and runner.epoch + 1 >= self.begin_epoch

    # ------------------------------------------------------------------ evaluating

    def before_val_epoch(self, runner: Runner) -> None:
        """Put the average into the model."""
        self._use_average()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the trained weights back."""
        self._use_trained()

    def before_test_epoch(self, runner: Runner) -> None:
        """Put the average into the model."""
        self._use_average()

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the trained weights back."""
        self._use_trained()

    def _use_average(self) -> None:
        if self.ema_model is not None and self.ema_model.steps and not self._swapped:
            exchange(self.ema_model, self._source)
            self._swapped = True

    def _use_trained(self) -> None:
        if self._swapped and self.ema_model is not None:
            exchange(self.ema_model, self._source)
            self._swapped = False

    # ------------------------------------------------------------------ checkpoints

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Publish the average as `state_dict`, and keep the trained weights beside it."""
        if self.ema_model is not None:
            for buffer in self.ema_model.buffers():  # all ranks take over what the file holds, as the model's own
                broadcast(buffer)
            kept = runner.strategy.weights(self.ema_model)
            if not self._swapped:
                publish(self.ema_model, checkpoint["state_dict"], kept)
            checkpoint["ema_state_dict"] = kept

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Drop the average: the weights that are being loaded are one, and the next begins from them."""
        self._use_trained()
        self.ema_model = None
        self._resumed = checkpoint.get("ema_state_dict")


def averaged_tensors(average: BaseAveragedModel, module: nn.Module) -> dict[str, Tensor]:
    """Return what is averaged, by name; buffers that are only copied always stay the model's own."""
    tensors: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    if average.update_buffers:
        buffers = module.named_buffers(remove_duplicate=False)
        tensors.update((name, buffer) for name, buffer in buffers if buffer.is_floating_point())
    return tensors


@torch.no_grad()
def exchange(average: BaseAveragedModel, model: nn.Module) -> None:
    """Exchange the weights of an average and a model: by pointer on one device, else through a copy."""
    gather_no_longer(model)
    mine, theirs = averaged_tensors(average, average.module), averaged_tensors(average, model)
    for name, other in {id(other): (name, other) for name, other in theirs.items()}.values():  # shared ones once
        one = mine[name]
        if one.device == other.device and not is_part(one):
            one.data, other.data = other.data, one.data
        else:
            one, other = local(one), local(other)  # where torch gathers a part from is settled: its data must change
            kept = one.clone()
            one.copy_(other)
            other.copy_(kept)


def publish(average: BaseAveragedModel, published: dict[str, Tensor], kept: dict[str, Tensor]) -> None:
    """Exchange average and trained weights between two state dicts; with no average yet, both get the latter.

    Args:
        average: The average.
        published: The weights of the model.
        kept: Those of `average`, each as `module.*`.
    """
    module = average.module
    buffers = {name for name, _ in module.named_buffers(remove_duplicate=False)}
    copied = buffers - averaged_tensors(average, module).keys()
    begun = bool(average.steps)
    for name, trained in list(published.items()):
        key = f"module.{name}"
        if key in kept:
            if begun and name not in copied:
                published[name] = kept[key]
            kept[key] = trained

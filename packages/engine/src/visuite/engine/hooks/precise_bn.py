"""The statistics of batch norms over many samples, for the weights as they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, DataLoader

from visuite.engine.dataset.feed import KeyedBatchSampler
from visuite.engine.dataset.sampler import DefaultSampler
from visuite.engine.dataset.seeding import kept_generators, mix
from visuite.engine.dist import all_reduce_params
from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.logging import print_log
from visuite.engine.model.base_model import as_arguments
from visuite.engine.model.wrapping import unwrap_model
from visuite.engine.registry import HOOKS

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class PreciseBNHook(Hook):
    """Replace the running statistics of batch norms, which lag behind the weights, by those of many samples.

    The mean and the variance over all samples are taken, not the means of those of batches (Wu and Johnson,
    arXiv:2105.07576). The samples are drawn from the training data, apart from the loop's own batches and randomness;
    batch norms that are held still keep their statistics.

    Args:
        num_samples: How many samples, on all ranks together.
        interval: Do it after every so many epochs; or iterations, in a run that counts these.

    Raises:
        ValueError: `num_samples` or `interval` is not positive.
    """

    priority = "ABOVE_NORMAL"  # before EMAHook and CheckpointHook

    def __init__(self, num_samples: int = 8192, interval: int = 1) -> None:
        if num_samples <= 0 or interval <= 0:
            raise ValueError(f"PreciseBNHook: num_samples {num_samples} and interval {interval} are positive")
        self.num_samples = num_samples
        self.interval = interval

    def after_train_epoch(self, runner: Runner) -> None:
        """Do it where epochs are counted."""
        if runner.train_loop.by_epoch and self.every_n_epochs(runner, self.interval):
            self._measure(runner, runner.epoch + 1)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Do it where iterations are counted."""
        if not runner.train_loop.by_epoch and self.every_n_train_iters(runner, self.interval):
            self._measure(runner, runner.iter + 1)

    def _measure(self, runner: Runner, done: int) -> None:
        model: Any = unwrap_model(runner.model)
        norms: list[Any] = [one for one in model.modules() if _gathers(one)]
        if not norms:
            return
        devices = [one for one in {norm.running_mean.device for norm in norms} if one.type == "cuda"]
        with kept_generators(), torch.random.fork_rng(devices), torch.no_grad(), _gathering(norms) as moments:
            for batch in self._batches(runner, done):
                args, kwargs = as_arguments(model.data_preprocessor(batch, False))
                model(*args, **kwargs, mode="tensor")
        all_reduce_params(moments.values(), op="sum")
        for norm, (count, total, square) in moments.items():
            if count.any():  # something came to this norm
                mean = total / count
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(square / count - mean.square())
        print_log(f"statistics of {len(norms)} batch norms measured anew", runner.logger)

    def _batches(self, runner: Runner, done: int) -> Iterator[Any]:
        """Yield this rank's batches, of other samples each time."""
        loader, seed = runner.train_dataloader, mix(runner.seed, done)
        sampler = DefaultSampler(loader.dataset, shuffle=True, seed=seed)
        size = loader.batch_size or loader.batch_sampler.batch_size
        batches = KeyedBatchSampler(BatchSampler(sampler, size, drop_last=False), seed)
        own = DataLoader(
            loader.dataset,
            batch_sampler=batches,
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers,
            worker_init_fn=loader.worker_init_fn,
        )
        return itertools.islice(own, math.ceil(self.num_samples / (size * sampler.world_size)))


def _gathers(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.training and module.running_mean is not None


@contextmanager
def _gathering(norms: list[Any]) -> Iterator[dict[Any, Tensor]]:
    """Sum for each batch norm what comes to it, (3, C): the number of values, they and their squares.

    The statistics that the norms gather meanwhile are dropped.
    """
    sums = {
        norm: torch.zeros(3, norm.num_features, dtype=torch.float64, device=norm.running_mean.device) for norm in norms
    }
    kept = {norm: {name: one.clone() for name, one in norm.named_buffers()} for norm in norms}

    def note(norm: Any, args: tuple[Tensor, ...]) -> None:
        values = args[0].float()
        variance, mean = (one.double() for one in torch.var_mean(values, [0, *range(2, values.ndim)], correction=0))
        count = values.numel() // values.shape[1]
        moments = torch.stack([torch.ones_like(mean), mean, variance + mean.square()])
        sums[norm] += count * moments

    handles = [norm.register_forward_pre_hook(note) for norm in norms]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()
        for norm, buffers in kept.items():
            for name, value in buffers.items():
                getattr(norm, name).copy_(value)

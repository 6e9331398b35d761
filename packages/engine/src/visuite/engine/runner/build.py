"""From the configs of a run to its parts."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from visuite.engine.dataset.base import BaseDataset
from visuite.engine.dataset.collate import find_function, pseudo_collate
from visuite.engine.dataset.feed import KeyedBatchSampler
from visuite.engine.dataset.seeding import SeededDataset, mix, worker_init_fn
from visuite.engine.dataset.wrappers import DatasetWrapper
from visuite.engine.dist import get_rank
from visuite.engine.evaluator import Evaluator
from visuite.engine.logging import print_log
from visuite.engine.optim import OptimWrapper, OptimWrapperDict
from visuite.engine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    EVALUATOR,
    LOOPS,
    PARAM_SCHEDULERS,
    VISUALIZERS,
    BadArgumentError,
    BadValueError,
    MissingKeyError,
    UnknownTypeError,
    config_path,
)
from visuite.engine.utils.text import did_you_mean
from visuite.engine.visualization import Visualizer

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

#: Data sets that open their samples' randomness themselves.
SEEDED_DATASETS = (BaseDataset, DatasetWrapper, SeededDataset)


def build_dataloader(dataloader: Any, seed: int | None = None, diff_rank_seed: bool = False) -> Any:
    """Build a data loader whose samples are a function of (seed, epoch, index).

    Args:
        dataloader: A config, or a built loader, which is returned unchanged. Beside the arguments of torch's
            loader it has `dataset`, `sampler`, `batch_sampler` and `num_batch_per_epoch`, which ends epochs early.
        seed: The run's seed.
        diff_rank_seed: Give every rank randomness of its own.

    Raises:
        KeyError: no `dataset`.
        ValueError: the data set is a stream, whose samples have no indices.
    """
    if not isinstance(dataloader, Mapping):
        return dataloader
    cfg = copy.copy(dict(dataloader))
    seed = 0 if seed is None else seed
    dataset = _build_dataset(cfg.pop("dataset", None))
    batch_sampler = _build_batch_sampler(cfg, dataset, seed)
    keys = KeyedBatchSampler(
        batch_sampler, mix(seed, get_rank()) if diff_rank_seed else seed, cfg.pop("num_batch_per_epoch", None)
    )
    workers = cfg.setdefault("num_workers", 0)
    if not workers:  # torch refuses these without workers, and a config tried on a small machine has them
        cfg.pop("persistent_workers", None)
        cfg.pop("prefetch_factor", None)
    try:
        return DataLoader(
            dataset=dataset if isinstance(dataset, SEEDED_DATASETS) else SeededDataset(dataset),
            batch_sampler=keys,
            collate_fn=_build_collate(cfg.pop("collate_fn", None)),
            worker_init_fn=_build_worker_init(cfg.pop("worker_init_fn", None), workers, seed),
            generator=torch.Generator().manual_seed(seed),
            **cfg,
        )
    except TypeError as error:
        raise BadArgumentError(f"the data loader does not take one of {sorted(cfg)}: {error}") from error


def _build_dataset(cfg: Any) -> Any:
    if cfg is None:
        raise MissingKeyError("a data loader's config needs 'dataset'")
    with config_path(".dataset"):
        dataset = DATASETS.build(cfg)
        if isinstance(dataset, IterableDataset):
            raise BadValueError(
                f"{type(dataset).__name__} is an IterableDataset, whose samples have no indices to draw and to resume "
                "from: give it __getitem__ and __len__, or hand a DataLoader of it to Runner(train_dataloader=...)"
            )
    if hasattr(dataset, "full_init"):
        dataset.full_init()
    return dataset


def _build_batch_sampler(cfg: dict[str, Any], dataset: Any, seed: int) -> Any:
    """Take sampler, batch_sampler, batch_size and drop_last out of a loader's config."""
    sampler = cfg.pop("sampler", None)
    if sampler is None:
        kind = "DefaultSampler"
        sampler = dict(type=kind, shuffle=cfg.pop("shuffle", False))
    elif cfg.pop("shuffle", None) is not None:
        raise BadArgumentError("a data loader takes 'sampler' or 'shuffle', not both")
    with config_path(".sampler"):
        sampler = DATA_SAMPLERS.build(sampler, default_args=dict(dataset=dataset, seed=seed))
    batch_size, drop_last = cfg.pop("batch_size", 1), cfg.pop("drop_last", False)
    batch_sampler = cfg.pop("batch_sampler", None)
    if batch_sampler is None:
        return BatchSampler(sampler, batch_size, drop_last)
    with config_path(".batch_sampler"):
        return DATA_SAMPLERS.build(batch_sampler, default_args=dict(sampler=sampler, batch_size=batch_size))


def _build_collate(cfg: Any) -> Any:
    """`None` collates nothing away (lists of samples); a name, a config of a function, or a callable."""
    if cfg is None:
        return pseudo_collate
    if callable(cfg):
        return cfg
    cfg = {"type": cfg} if isinstance(cfg, str) else dict(cfg)
    function = find_function(cfg.pop("type"), "collate_fn")
    return functools.partial(function, **cfg) if cfg else function


def _build_worker_init(cfg: Any, workers: int, seed: int) -> Any:
    known: dict[str, Any] = dict(num_workers=workers, rank=get_rank(), seed=seed)
    if cfg is None:
        return functools.partial(worker_init_fn, **known)
    if callable(cfg):
        return cfg
    cfg = dict(cfg)
    function = find_function(cfg.pop("type"), "worker_init_fn")
    return functools.partial(function, **known, **cfg)


def build_evaluator(evaluator: Any) -> Evaluator:
    """Build an evaluator from a metric config, a list of them, an evaluator config or an evaluator.

    A ready-made object that is neither an `Evaluator` nor a config is taken for a metric.
    """
    if isinstance(evaluator, Evaluator):
        return evaluator
    if isinstance(evaluator, Mapping) and "metrics" in evaluator:
        return EVALUATOR.build({"type": "Evaluator", **evaluator})
    return Evaluator(metrics=evaluator)


def build_loop(runner: Runner, cfg: Any, dataloader: Any, default_type: str, **defaults: Any) -> Any:
    """Build a loop; one that is ready-made is returned unchanged."""
    if not isinstance(cfg, Mapping):
        return cfg
    cfg = {"type": default_type, **cfg}
    return LOOPS.build(cfg, default_args=dict(runner=runner, dataloader=dataloader, **defaults))


def build_train_loop(runner: Runner, cfg: Any, dataloader: Any) -> Any:
    """Build the training loop that `by_epoch` or `type` asks for.

    Raises:
        ValueError: both are given, or neither.
    """
    if not isinstance(cfg, Mapping):
        return cfg
    cfg = dict(cfg)
    by_epoch = cfg.pop("by_epoch", None)
    if ("type" in cfg) == (by_epoch is not None):
        message = f"takes either 'type' or 'by_epoch' (True or False), and has {sorted(cfg)}"
        raise BadValueError(message, "train_cfg")
    return build_loop(runner, cfg, dataloader, "EpochBasedTrainLoop" if by_epoch else "IterBasedTrainLoop")


def build_param_schedulers(
    cfg: Any,
    optim_wrapper: OptimWrapper | OptimWrapperDict,
    *,
    max_epochs: int,
    epoch_length: int,
    max_iters: int | None = None,
) -> list[Any] | dict[str, list[Any]]:
    """Build the schedulers of one optimizer, or of each of several.

    Args:
        cfg: A config, a list of configs, or `{optimizer name: ...}` of either.
        optim_wrapper: Whose values they change.
        max_epochs: The default `end` of those that go by epoch.
        epoch_length: Iterations of an epoch; converts epochs to iterations.
        max_iters: The default `end` of those that go by iteration; by default all epochs' iterations.

    Raises:
        BadValueError: schedulers for an optimizer that there is not; says the nearest.
    """
    length = dict(max_epochs=max_epochs, epoch_length=epoch_length, max_iters=max_iters or max_epochs * epoch_length)
    if isinstance(optim_wrapper, OptimWrapperDict):
        named = isinstance(cfg, Mapping) and "type" not in cfg
        for name in cfg if named else ():
            if name not in optim_wrapper:
                raise BadValueError(
                    f"no optimizer is called {name!r}{did_you_mean(name, optim_wrapper.keys())}", "param_scheduler"
                )
        return {
            name: build_param_schedulers(cfg[name] if named else cfg, wrapper, **length)  # type: ignore[misc]
            for name, wrapper in optim_wrapper.items()
            if not named or name in cfg
        }
    if cfg is None:
        return []
    one = isinstance(cfg, Mapping) or not isinstance(cfg, Sequence)
    schedulers = []
    for index, item in enumerate([cfg] if one else cfg):
        with config_path("param_scheduler" if one else f"param_scheduler.{index}"):
            schedulers.append(_build_param_scheduler(item, optim_wrapper, **length))
    return schedulers


def _build_param_scheduler(
    cfg: Any, optim_wrapper: OptimWrapper, *, max_epochs: int, epoch_length: int, max_iters: int
) -> Any:
    if not isinstance(cfg, Mapping):
        return cfg
    arguments = dict(cfg)
    arguments.setdefault("end", max_epochs if arguments.get("by_epoch", True) else max_iters)
    if not arguments.pop("convert_to_iter_based", False):
        return PARAM_SCHEDULERS.build(arguments, default_args=dict(optimizer=optim_wrapper))
    kind = arguments.pop("type")
    found = PARAM_SCHEDULERS.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise UnknownTypeError(PARAM_SCHEDULERS.explain_missing(kind))
    return found.build_iter_from_epoch(optimizer=optim_wrapper, epoch_length=epoch_length, **arguments)


def scale_lr(optim_wrapper: OptimWrapper | OptimWrapperDict, auto_scale_lr: Mapping[str, Any], batch_size: int) -> None:
    """Scale learning rates to the batch size of all ranks together.

    Args:
        auto_scale_lr: `base_batch_size` is what the learning rates were chosen for.

    Raises:
        KeyError: no `base_batch_size`.
    """
    if "base_batch_size" not in auto_scale_lr:
        message = "base_batch_size is needed, the batch size that the learning rate was chosen for"
        raise MissingKeyError(message, "auto_scale_lr")
    ratio = batch_size / auto_scale_lr["base_batch_size"]
    print_log(f"learning rates are scaled by {ratio:g} for a batch size of {batch_size}", "current")
    wrappers = optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]
    for wrapper in wrappers:
        for group in wrapper.param_groups:  # the base rate that logs show among them
            group["lr"] *= ratio


def build_visualizer(visualizer: Any, *, name: str, save_dir: str) -> Visualizer:
    """Build a run's visualizer; by default one that writes to its log folder.

    It bears the run's name: one fixed in a config would be shared by all runs of a process, and so would what is drawn.
    """
    if visualizer is not None and not isinstance(visualizer, Mapping):
        return visualizer
    cfg = {
        "type": "Visualizer",
        "vis_backends": [{"type": "LocalVisBackend"}],
        "save_dir": save_dir,
        **(visualizer or {}),
    }
    return VISUALIZERS.build({**cfg, "name": name})

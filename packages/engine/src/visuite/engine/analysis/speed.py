"""How fast data are loaded, and how long an iteration of training and of inference takes."""

from __future__ import annotations

import copy
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from visuite.engine.config import Config
from visuite.engine.dataset.feed import endless_batches, epoch_batches, restart_workers
from visuite.engine.optim import build_optim_wrapper
from visuite.engine.registry import MODELS, config_path
from visuite.engine.runner import build_dataloader
from visuite.engine.runner.environment import run_device
from visuite.engine.runner.log_processor import peak_memory
from visuite.engine.runner.strategy import choose_strategy

BATCHES_IN_MEMORY = 4


@dataclass(frozen=True)
class LoaderSpeed:
    """How fast a loader with so many workers was.

    Attributes:
        workers: Its processes.
        images_per_second: Of all batches but the first.
        first_batch: Seconds until it was there, workers started.
        images: How many were read.
    """

    workers: int
    images_per_second: float
    first_batch: float
    images: int


@dataclass(frozen=True)
class StepSpeed:
    """How long iterations took.

    Attributes:
        stage: 'train' or 'inference'.
        times: Milliseconds of each measured iteration.
        images: Images in a batch.
        memory: The most memory in MB that was in use by then.
    """

    stage: str
    times: list[float]
    images: int
    memory: int | None

    @property
    def median(self) -> float:
        """The median time of an iteration in milliseconds."""
        return statistics.median(self.times)

    @property
    def slowest_tenth(self) -> float:
        """The time in milliseconds that nine of ten iterations stay below."""
        return sorted(self.times)[min(len(self.times) * 9 // 10, len(self.times) - 1)]


@dataclass(frozen=True)
class Batches:
    """The batches that a stage is measured on.

    Attributes:
        length: Images in a batch.
        feed: As many batches as anybody asks for.
        waiting_counts: Whether the time until one is there is part of the iteration.
    """

    length: int
    feed: Iterator[Any]
    waiting_counts: bool


def batch_length(batch: Any) -> int:
    """Return how many samples a collated batch holds.

    Raises:
        TypeError: it cannot tell.
    """
    if isinstance(batch, Mapping):
        batch = batch["inputs"] if "inputs" in batch else next(iter(batch.values()))
    elif isinstance(batch, (list, tuple)) and batch and hasattr(batch[0], "__len__"):
        batch = batch[0]
    if not hasattr(batch, "__len__"):
        raise TypeError(f"how many samples are in a batch that is a {type(batch).__name__}?")
    return len(batch)


def loader_speeds(
    dataloader: Mapping[str, Any], workers: Sequence[int], *, seconds: float = 5.0, batches: int = 200, seed: int = 0
) -> Iterator[LoaderSpeed]:
    """Measure a loader for each number of workers.

    Args:
        dataloader: Its config; `num_workers` is replaced, the data set is built once.
        workers: How many processes.
        seconds: How long each is measured at most.
        batches: How many batches each reads at most.
        seed: Of the order of samples.
    """
    cfg = {**dataloader, "persistent_workers": False}
    for number in workers:
        loader = build_dataloader({**cfg, "num_workers": number}, seed=seed)
        cfg["dataset"] = getattr(loader, "dataset", cfg["dataset"])
        yield _loader_speed(loader, number, seconds=seconds, batches=batches)


def _loader_speed(loader: Any, workers: int, *, seconds: float, batches: int) -> LoaderSpeed:
    start = time.perf_counter()
    feed = epoch_batches(loader, 0)
    first = next(feed, None)
    begin = time.perf_counter()
    if first is None:
        raise ValueError("the loader has no batch: the data set is empty, or smaller than a batch with drop_last")
    ahead = images = batch_length(first)
    measured = 0
    for number, batch in enumerate(feed, 2):
        measured += batch_length(batch)
        if number >= batches or time.perf_counter() - begin >= seconds:
            break
    taken = time.perf_counter() - begin
    del feed
    restart_workers(loader)
    # A set of one batch has nothing behind the first.
    rate = measured / taken if measured else ahead / (begin - start)
    return LoaderSpeed(workers, rate, begin - start, images + measured)


def step_speeds(
    cfg: Config, *, iterations: int = 30, warmup: int = 5, device: str | None = None, load: bool = False
) -> Iterator[StepSpeed]:
    """Measure the training steps of a config's model, then its inference, each on the first batches of its own data.

    The model is compiled and laid out as the config says. Inference is measured on the validation's data, or the
    test's; where a config has neither, on the training's.

    Args:
        cfg: The whole config.
        iterations: How many are measured.
        warmup: How many run before.
        device: Where; by default the accelerator, if there is one.
        load: Count the waiting for the loader in; otherwise the batches are read before.
    """
    place = run_device(device)
    count = warmup + iterations
    with config_path("model"):
        defaults = {"data_preprocessor": cfg.data_preprocessor} if cfg.get("data_preprocessor") is not None else {}
        model: Any = choose_strategy(place, cfg).place(MODELS.build(cfg.model, default_args=defaults))
    with config_path("optim_wrapper"):
        optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    optim_wrapper.initialize_count_status(model, 0, count)

    model.train()
    with _batches(cfg, "train_dataloader", count, load=load) as batches:
        times = _timed(lambda batch: model.train_step(batch, optim_wrapper), batches, iterations, warmup, place)
    yield StepSpeed("train", times, batches.length, peak_memory(place))
    model.eval()
    split = next((name for name in ("val_dataloader", "test_dataloader") if cfg.get(name)), "train_dataloader")
    with _batches(cfg, split, count, load=load) as batches, torch.no_grad():
        times = _timed(model.test_step, batches, iterations, warmup, place)
    yield StepSpeed("inference", times, batches.length, peak_memory(place))


@contextmanager
def _batches(cfg: Config, loader_key: str, count: int, *, load: bool) -> Iterator[Batches]:
    """Open a loader of a config, of which `count` batches will be asked for; `load` reads each only then."""
    with config_path(loader_key):
        loader = build_dataloader(cfg[loader_key], seed=0)
    try:
        feed = endless_batches(loader)
        kept = [next(feed) for _ in range(1 if load else min(BATCHES_IN_MEMORY, count))]
        length = batch_length(kept[0])
        full = [batch for batch in kept if batch_length(batch) == length]  # not the rest at the end of an epoch
        yield Batches(length, feed if load else _again_and_again(full), load)
    finally:
        restart_workers(loader)


def _again_and_again(batches: Sequence[Any]) -> Iterator[Any]:
    for batch in itertools.cycle(batches):
        yield copy.deepcopy(batch)  # preprocessors change the samples that they are given


def _timed(
    step: Callable[[Any], Any], batches: Batches, iterations: int, warmup: int, device: torch.device
) -> list[float]:
    """Return the milliseconds of each iteration behind the warm-up, the device waited for."""
    times = []
    for number in range(warmup + iterations):
        asked = time.perf_counter()
        batch = next(batches.feed)
        start = asked if batches.waiting_counts else time.perf_counter()
        step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= warmup:
            times.append((time.perf_counter() - start) * 1000)
    return times

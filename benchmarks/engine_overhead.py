#!/usr/bin/env python
"""What the Runner costs: seconds per iteration against a hand-written loop, same model and loader, in one run.

    python benchmarks/engine_overhead.py [--iters 200] [--rounds 7]

Two steps are measured, a bare one of about a millisecond, which shows the absolute cost, and one of about 20 ms.
The rounds of the two programs alternate, so that what else the machine does hits both; medians are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from visuite.engine.hooks import Hook
from visuite.engine.model import BaseModel
from visuite.engine.runner import Runner


class Net(BaseModel):
    """A perceptron of a given width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )

    def forward(self, inputs: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        """Return the loss of inputs (B, 64) and labels (B,)."""
        return {"loss": nn.functional.cross_entropy(self.layers(inputs), labels)}


def make_loader(iters: int, batch: int) -> DataLoader:
    """Return a loader of `iters` batches that are views of one tensor, so that loading costs little."""
    data = TensorDataset(torch.randn(iters * batch, 64), torch.randint(0, 10, (iters * batch,)))
    return DataLoader(data, batch_size=None, sampler=[slice(i * batch, (i + 1) * batch) for i in range(iters)])


def by_hand(model: Net, loader: DataLoader) -> float:
    """Train one epoch with a plain loop; returns seconds per iteration."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    model.train()
    start = time.perf_counter()
    for inputs, labels in loader:
        loss = nn.functional.cross_entropy(model.layers(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - start) / len(loader)


class Stopwatch(Hook):
    """Time the iterations of an epoch, hooks included."""

    priority = "HIGHEST"

    def before_train_epoch(self, runner: Runner) -> None:
        """Start."""
        self.start = time.perf_counter()


class StopwatchEnd(Hook):
    """The other half: called before the epoch's checkpoint is written."""

    priority = "HIGHEST"

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def after_train_epoch(self, runner: Runner) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.watch.start


def by_runner(model: Net, loader: DataLoader) -> float:
    """Train one epoch with the Runner and its default hooks; returns seconds per iteration."""
    watch = Stopwatch()
    end = StopwatchEnd(watch)
    with tempfile.TemporaryDirectory() as folder:
        Runner(
            model=model,
            work_dir=folder,
            train_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=1e-4, momentum=0.9)),
            param_scheduler=dict(type="MultiStepLR", milestones=[8, 11]),
            custom_hooks=[watch, end],
            log_level="WARNING",
        ).train()
    return end.seconds / len(loader)


def measure(width: int, batch: int, iters: int, rounds: int) -> tuple[float, float]:
    """Return the median seconds per iteration by hand and by the Runner."""
    model, loader = Net(width), make_loader(iters, batch)
    by_hand(model, loader)
    times = [(by_hand(model, loader), by_runner(model, loader)) for _ in range(rounds)]
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iters", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, torch {torch.__version__}, medians of {args.rounds} rounds of {args.iters} iterations"
    )
    print("| step | by hand | Runner | cost per iteration | ratio |")
    print("|---|---|---|---|---|")
    for name, width, batch in (("bare", 128, 64), ("20 ms", 1200, 256)):
        hand, runner = measure(width, batch, args.iters, args.rounds)
        cost = f"{(runner - hand) * 1e3:.3f} ms | {runner / hand:.3f}"
        print(f"| {name} | {hand * 1e3:.3f} ms | {runner * 1e3:.3f} ms | {cost} |")


if __name__ == "__main__":
    main()

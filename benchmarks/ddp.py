#!/usr/bin/env python
"""Two processes against one on this machine: samples per second of the same training.

    python benchmarks/ddp.py [--iters 30] [--rounds 3]

One process takes batches of 2B samples, two take B each. Each process computes with one thread, so that on a CPU with
two free cores two processes could be twice as fast; what is missing is the price of exchanging gradients.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from visuite.engine.hooks import Hook
from visuite.engine.model import BaseModel
from visuite.engine.runner import Runner, leave_process_group

WARM_UP = 5


class Net(BaseModel):
    """A small network of convolutions for images (B, 3, 32, 32), without batch norm."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
        for stage in (1, 2, 4):
            layers += [nn.Conv2d(stage * width, 2 * stage * width, 3, stride=2, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))

    def forward(self, inputs: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        """Return the loss of inputs (B, 3, 32, 32) and labels (B,)."""
        return {"loss": nn.functional.cross_entropy(self.layers(inputs), labels)}


class Stopwatch(Hook):
    """Measure the iterations after the first few."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start once all is warm."""
        if batch_idx == WARM_UP:
            self.start = time.perf_counter()

    def after_train_epoch(self, runner: Runner) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.start


def train(rank: int, ranks: int, batch: int, iters: int, port: int, folder: str) -> None:
    """Train in one of `ranks` processes; rank 0 writes down the seconds per iteration."""
    torch.set_num_threads(1)
    if ranks > 1:
        place = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=ranks, LOCAL_WORLD_SIZE=ranks, MASTER_PORT=port)
        os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    size = batch * (iters + WARM_UP) * ranks
    data = TensorDataset(torch.randn(size, 3, 32, 32), torch.randint(0, 10, (size,)))
    watch = Stopwatch()
    Runner(
        model=Net(),
        work_dir=folder,
        train_dataloader=dict(
            batch_size=batch,
            dataset=data,
            sampler=dict(type="DefaultSampler", shuffle=True),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01)),
        default_hooks=dict(checkpoint=None),
        custom_hooks=[watch],
        launcher="pytorch" if ranks > 1 else "none",
        env_cfg=dict(mp_cfg=dict(mp_start_method="spawn")),  # as the ranks themselves were started
        log_level="WARNING",
    ).train()
    if rank == 0:
        Path(folder, "seconds").write_text(str(watch.seconds / iters))
    leave_process_group()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def measure(ranks: int, samples: int, iters: int) -> float:
    """Return the samples per second that `ranks` processes train on."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(train, (ranks, samples // ranks, iters, free_port(), folder), nprocs=ranks)
        return samples / float(Path(folder, "seconds").read_text())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iters", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, torch {torch.__version__}, medians of {args.rounds} rounds of {args.iters} iterations"
    )
    print("| samples per step | one process | two processes | ratio |")
    print("|---|---|---|---|")
    for samples in (16, 64):
        rounds = [[measure(ranks, samples, args.iters) for ranks in (1, 2)] for _ in range(args.rounds)]
        one, two = (statistics.median(each) for each in zip(*rounds, strict=True))
        print(f"| {samples} | {one:.0f} samples/s | {two:.0f} samples/s | {two / one:.2f} |")


if __name__ == "__main__":
    main()

#!/usr/bin/env python
"""What the engine's services cost: averaging, logging, checkpoints, resuming, starting.

    python benchmarks/engine_costs.py [--iters 300] [--rounds 5]

Averaging, logging at every iteration and writing checkpoints are measured as additional milliseconds per iteration of
the same run without them, rounds alternating; resuming is measured from a checkpoint of iteration 1,000 and one of
iteration 100,000; starting is the time of a process from its beginning to the first training iteration, beside that
of a process that only imports torch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from visuite.engine.hooks import Hook
from visuite.engine.model import BaseModel
from visuite.engine.registry import DATASETS, MODELS
from visuite.engine.runner import Runner


@MODELS.register_module(name="CostNet")
class Net(BaseModel):
    """A perceptron of about a million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 900), nn.ReLU(), nn.Linear(900, 900), nn.ReLU(), nn.Linear(900, 10))

    def forward(self, inputs: Tensor, labels: Tensor, mode: str = "tensor") -> Any:
        """Return the loss of inputs (B, 64) and labels (B,)."""
        return {"loss": nn.functional.cross_entropy(self.layers(inputs), labels)}


@DATASETS.register_module(name="CostPoints")
class Points(Dataset):
    """Random points with random labels."""

    def __len__(self) -> int:
        return 3200

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(64), index % 10


class Clock(Hook):
    """Time the iterations of a run, all other hooks included."""

    priority = "HIGHEST"

    def before_train_epoch(self, runner: Runner) -> None:
        """Start at the first iteration."""
        self.start, self.first = time.perf_counter(), runner.iter

    def after_train(self, runner: Runner) -> None:
        """Stop."""
        self.each = (time.perf_counter() - self.start) / (runner.iter - self.first)


def run(folder: str, iters: int, **changes: Any) -> tuple[Runner, Clock]:
    """Make a run with nothing but what `changes` asks for."""
    clock = Clock()
    bare = dict(logger=None, checkpoint=None, progress=None)
    hooks = changes.pop("custom_hooks", [])
    loader = dict(
        batch_size=16,
        dataset=Points(),
        sampler=dict(type="InfiniteSampler", shuffle=True),
        collate_fn=dict(type="default_collate"),
    )
    arguments: dict[str, Any] = dict(
        model=Net(),
        work_dir=folder,
        train_dataloader=loader,
        train_cfg=dict(by_epoch=False, max_iters=iters),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=1e-4, momentum=0.9)),
        default_hooks={**bare, **changes.pop("default_hooks", {})},
        custom_hooks=[clock, *hooks],
        log_level="ERROR",
        randomness=dict(seed=0),
    )
    return Runner(**{**arguments, **changes}), clock


SERVICES: dict[str, dict[str, Any]] = {
    "averaging (EMAHook)": dict(custom_hooks=[dict(type="EMAHook")]),
    "a log line every 10 iterations": dict(default_hooks=dict(logger=dict(type="LoggerHook", interval=10))),
    "a checkpoint every 100 iterations": dict(
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=100, max_keep_ckpts=1))
    ),
}


def measure_services(iters: int, rounds: int) -> None:
    """Print milliseconds per iteration with each service, and what it adds."""
    print("| with | ms per iteration | added |\n|---|---|---|")
    times: dict[str, list[float]] = {"nothing": [], **{name: [] for name in SERVICES}}
    for _ in range(rounds):
        for name, kept in times.items():
            with tempfile.TemporaryDirectory() as folder:
                runner, clock = run(folder, iters, **SERVICES.get(name, {}))
                runner.train()
                kept.append(clock.each * 1e3)
    bare = statistics.median(times["nothing"])
    for name, kept in times.items():
        print(f"| {name} | {statistics.median(kept):.3f} | {statistics.median(kept) - bare:+.3f} |")


def measure_resuming() -> None:
    """Print the time to resume from an early and from a late checkpoint."""
    print("\n| resumed at iteration | seconds until the next iteration |\n|---|---|")
    for iteration in (1_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            hooks = dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=-1))
            runner, _ = run(folder, 1, default_hooks=hooks)
            runner.train_loop._iter = runner.train_loop._batch = iteration
            runner.train_loop._max_iters = iteration + 1
            for number in range(iteration):
                runner.message_hub.update_scalar("train/loss", 1 / (number + 1))
            runner.train()
            seconds = []
            for _ in range(5):
                path = f"{folder}/iter_{iteration + 1}.pth"
                again, clock = run(folder, iteration + 2, default_hooks=hooks, resume=True, load_from=path)
                start = time.perf_counter()
                again.train()
                seconds.append(clock.start - start)
        print(f"| {iteration:,} | {statistics.median(seconds):.3f} |")


def measure_start(rounds: int) -> None:
    """Print the time from the start of `tools/train.py` to its first iteration."""
    tool = Path(__file__).parents[1] / "tools" / "train.py"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "start.py")
        config.write_text(START)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        started = [_time([sys.executable, str(tool), str(config)], environment, folder) for _ in range(rounds)]
        torch_only = [_time([sys.executable, "-c", "import torch"], environment, folder) for _ in range(rounds)]
    print("\n| process | seconds |\n|---|---|")
    print(f"| import torch | {statistics.median(torch_only):.2f} |")
    print(f"| tools/train.py to the end of its first iteration | {statistics.median(started):.2f} |")


#: A run of one iteration over this file's own model and data.
START = """
custom_imports = dict(imports=["engine_costs"])
model = dict(type="CostNet")
train_dataloader = dict(batch_size=16, dataset=dict(type="CostPoints"), collate_fn=dict(type="default_collate"))
train_cfg = dict(by_epoch=False, max_iters=1)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=1e-4))
default_hooks = dict(checkpoint=None)
log_level = "ERROR"
"""


def _time(command: list[str], environment: dict[str, str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iters", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, medians of {args.rounds} rounds\n")
    measure_services(args.iters, args.rounds)
    measure_resuming()
    measure_start(args.rounds)


if __name__ == "__main__":
    main()

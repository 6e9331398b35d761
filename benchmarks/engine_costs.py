#!/usr/bin/env python
"""What the engine's services cost: averaging, logging, checkpoints, resuming, starting.

    python benchmarks/engine_costs.py [--iters 300] [--rounds 9]

Averaging, logging and writing checkpoints are measured as additional milliseconds per iteration of the same run
without them, on one thread, each beside the others in every round, together with a loop written by hand; resuming is
measured from a checkpoint of iteration 1,000 and one of iteration 100,000; starting is the time of a process from its
beginning to the end of its first training iteration, beside that of a process that does one iteration by hand and of
one that only imports torch.
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
from torch.utils.data import DataLoader, Dataset

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


def loop_by_hand(iters: int) -> float:
    """Train the same network on the same data without a Runner; return seconds per iteration."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    loader = DataLoader(Points(), batch_size=16, shuffle=True, drop_last=True)
    done, start = 0, time.perf_counter()
    while done < iters:
        for inputs, labels in loader:
            optimizer.zero_grad()
            model(inputs, labels)["loss"].backward()
            optimizer.step()
            done += 1
            if done == iters:
                break
    return (time.perf_counter() - start) / iters


def run_with(name: str, iters: int) -> float:
    """Train by a Runner with one of the services; return seconds per iteration."""
    with tempfile.TemporaryDirectory() as folder:
        runner, clock = run(folder, iters, **SERVICES.get(name, {}))
        runner.train()
        return clock.each


def measure_services(iters: int, rounds: int) -> None:
    """Print milliseconds per iteration with each service, and what it adds to a run of the same round without."""
    by_hand, nothing = "a loop by hand", "the Runner, nothing else"
    names = [by_hand, nothing, *SERVICES]
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)  # who comes first differs from round to round
        for name in names[turn:] + names[:turn]:
            seconds = loop_by_hand(iters) if name == by_hand else run_with(name, iters)
            if number:  # the first round warms up
                times[name].append(1e3 * seconds)
    print("| with | ms per iteration | added | half the quartiles' distance |\n|---|---|---|---|")
    for name in names:
        added = [one - bare for one, bare in zip(times[name], times[nothing], strict=True)]
        low, middle, high = statistics.quantiles(added, n=4)
        tail = "| |" if name == nothing else f"{middle:+.3f} | {(high - low) / 2:.3f} |"
        print(f"| {name} | {statistics.median(times[name]):.3f} | {tail}")


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
        others = {
            name: [_time([sys.executable, "-c", code], environment, folder) for _ in range(rounds)]
            for name, code in {"import torch": "import torch", "one iteration by hand": BY_HAND}.items()
        }
    print("\n| process | seconds |\n|---|---|")
    for name, seconds in {**others, "tools/train.py to the end of its first iteration": started}.items():
        print(f"| {name} | {statistics.median(seconds):.2f} |")


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

#: The same without a Runner.
BY_HAND = """
import torch
model = torch.nn.Linear(64, 10)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(16, 64)), batch_size=16)
for inputs, in loader:
    model(inputs).sum().backward()
    optimizer.step()
"""


def _time(command: list[str], environment: dict[str, str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iters", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, medians of {args.rounds} rounds\n")
    torch.set_num_threads(1)
    measure_services(args.iters, args.rounds)
    measure_resuming()
    measure_start(args.rounds)


if __name__ == "__main__":
    main()

"""Hooks that several processes must agree about, with two of them."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.engine.hooks.test_preemption import Kill
from tests.engine.runner.toy import config
from visuite.engine.hooks import Hook, Preempted
from visuite.engine.runner import Runner


class Buffers(Hook):
    """Keep the statistics of batch norm around an epoch's end and in validation."""

    def __init__(self) -> None:
        self.own: list[list[float]] = []
        self.validated: list[list[float]] = []

    def before_train_epoch(self, runner):
        self.runner = runner

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.end_of_epoch(runner.train_dataloader, batch_idx):
            self.own.append(runner.model.module.net[1].running_mean.tolist())

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 0:
            self.validated.append(runner.model.module.net[1].running_mean.tolist())


def train_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    buffers = Buffers()
    sync = [dict(type="EMAHook", momentum=0.1), dict(type="SyncBuffersHook"), buffers]
    Runner.from_cfg(config(f"{folder}/sync", custom_hooks=sync)).train()
    hooks = dict(preemption=dict(type="PreemptionHook", interval=2))
    kill = [Kill("before_train_iter", 4, signal.SIGTERM)] if rank == 1 else []
    runner = Runner.from_cfg(config(f"{folder}/kill", custom_hooks=kill, default_hooks=hooks))
    try:
        runner.train()
    except Preempted as ended:
        told = dict(code=ended.code, iter=runner.iter + 1, own=buffers.own, validated=buffers.validated)
        Path(folder, f"rank{rank}.json").write_text(json.dumps(told))


def test_ranks_agree(tmp_path):
    mp.spawn(train_rank, args=(str(tmp_path),), nprocs=2)
    one, other = (json.loads(Path(tmp_path, f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert (one["code"], one["iter"]) == (other["code"], other["iter"]) == (143, 6)  # rank 0 had no signal
    checkpoint = torch.load(tmp_path / "kill" / "preempted.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 6
    assert len(one["own"]) == len(one["validated"]) == 3
    assert one["own"] != other["own"]
    assert one["validated"] == other["validated"]
    mean = (torch.tensor(one["own"]) + torch.tensor(other["own"])) / 2
    torch.testing.assert_close(torch.tensor(one["validated"]), mean)

"""What two ranks do in the tests of distributed runs, and how they are started."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.multiprocessing as mp
from torch import Tensor, nn

from tests.engine.hooks.test_preemption import Kill
from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import ToyAccuracy, ToyNet, config, weights
from visuite.engine.dist import get_rank
from visuite.engine.hooks import EMAHook, Hook, Preempted
from visuite.engine.registry import HOOKS, METRICS, MODELS
from visuite.engine.runner import Runner, failure

SGD = dict(type="SGD", lr=0.1, momentum=0.9)


def run_ranks(function: Any, *args: Any, ranks: int = 2) -> None:
    """Run a function in several processes that torchrun might have started, and wait for them."""
    # One process imports everything, and the ranks fork from it.
    multiprocessing.set_forkserver_preload([__name__])
    mp.start_processes(_be_rank, (function, args, ranks, free_port()), nprocs=ranks, start_method="forkserver")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _be_rank(rank: int, function: Any, args: Any, ranks: int, port: int) -> None:
    place = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=ranks, LOCAL_WORLD_SIZE=ranks, MASTER_PORT=port)
    os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    torch.set_num_threads(1)
    function(*args)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@MODELS.register_module()
class PlainNet(ToyNet):
    """The toy without dropout and batch norm, so that a batch may be split over ranks."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        self.net = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, width), nn.Linear(width, 2))


@METRICS.register_module()
class FailingMetric(ToyAccuracy):
    """Fails where it is computed: on rank 0, while the others wait for its value."""

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        raise ZeroDivisionError("no area under the curve")


class Losses(Hook):
    """Remember every loss."""

    priority = "HIGHEST"

    def __init__(self) -> None:
        self.seen: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(float(outputs["loss"]))


class CountReductions(Hook):
    """Count how often DDP exchanges gradients."""

    def before_train(self, runner):
        self.count = 0
        runner.model.register_comm_hook(None, self._reduce)

    def _reduce(self, state, bucket):
        self.count += 1
        tensor = bucket.buffer().div_(2)
        return torch.distributed.all_reduce(tensor, async_op=True).get_future().then(lambda done: done.value()[0])


def plain_config(folder: Path | str, batch_size: int = 4, accumulate: int = 1, **changes: Any) -> dict[str, Any]:
    cfg = config(folder, model=dict(type="PlainNet"))
    optim = dict(type="OptimWrapper", optimizer=SGD, accumulative_counts=accumulate, clip_grad=dict(max_norm=0.5))
    loader = {**cfg["train_dataloader"], "batch_size": batch_size}
    launcher = "pytorch" if "RANK" in os.environ else "none"
    return {**cfg, "launcher": launcher, "train_dataloader": loader, "optim_wrapper": optim, **changes}


def losses_of(cfg: dict[str, Any], *hooks: Hook) -> tuple[Runner, list[float]]:
    losses = Losses()
    runner = Runner.from_cfg({**cfg, "custom_hooks": [*cfg.get("custom_hooks", []), losses, *hooks]})
    runner.train()
    return runner, losses.seen


def plain_weights(runner: Runner) -> dict[str, Tensor]:
    """The whole weights under their plain names."""
    return whole_weights(runner.model.module if hasattr(runner.model, "module") else runner.model)


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    return {n: v.full_tensor() if hasattr(v, "full_tensor") else v for n, v in weights(model).items()}


def keep(folder: str, **values: Any) -> None:
    torch.save(values, f"{folder}/rank{get_rank()}.pt")


def kept(folder: Path) -> list[dict[str, Any]]:
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


# ---------------------------------------------------------------------- what ranks do


def train_with_ddp(folder: str) -> None:
    runner, losses = losses_of(plain_config(f"{folder}/ddp"))
    count = CountReductions()
    windows, _ = losses_of(plain_config(f"{folder}/windows", batch_size=1, accumulate=4), count)
    diff = plain_config(f"{folder}/diff", randomness=dict(seed=3, diff_rank_seed=True), sync_bn="torch")
    diff["model"] = dict(type="ToyNet")
    unlike = Runner.from_cfg(diff)
    unlike.strategy.init_weights(unlike.model)
    keep(
        folder,
        losses=losses,
        weights=plain_weights(runner),
        windows=plain_weights(windows),
        reductions=count.count,
        begin=plain_weights(unlike),
        norm=type(unlike.model.module.net[1]).__name__,
    )


@MODELS.register_module()
class TwoHeads(PlainNet):
    """Rank 0 uses one head, rank 1 the other, in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList([nn.Linear(4, 2), nn.Linear(4, 2)])
        self.used = get_rank()

    def forward(self, inputs: Tensor, labels: Tensor | None = None, mode: str = "tensor") -> Any:
        if mode != "loss":
            return super().forward(inputs, labels, mode)
        self.used = 1 - self.used
        return {"loss": nn.functional.cross_entropy(self.net(inputs) + self.heads[self.used](inputs), labels)}


def train_with_unused_parameters(folder: str, find: bool) -> None:
    runner, _ = losses_of(plain_config(f"{folder}/unused", model=dict(type="TwoHeads"), find_unused_parameters=find))
    count = CountReductions()
    windows = dict(batch_size=1, accumulate=4)
    graph, _ = losses_of(plain_config(f"{folder}/graph", static_graph=True, **windows), count)
    plain, _ = losses_of(plain_config(f"{folder}/plain", **windows))
    found = dict(plain=plain_weights(plain), graph=plain_weights(graph))
    keep(folder, weights=plain_weights(runner), reductions=count.count, **found)


def validate_any_length(folder: str, lengths: list[int]) -> None:
    found = {}
    for length in lengths:
        cfg = plain_config(f"{folder}/{length}")
        cfg["val_dataloader"] = {**cfg["val_dataloader"], "dataset": dict(type="ToyData", size=length)}
        found[length] = Runner.from_cfg(cfg).val()
    keep(folder, metrics=found)


def resume_config(folder: str, **changes: Any) -> dict[str, Any]:
    hooks = dict(checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False, max_keep_ckpts=2))
    changes = {"model": dict(type="ToyNet"), "default_hooks": hooks, **changes}
    return plain_config(folder, batch_size=2, accumulate=3, **changes)


def stop_and_resume(folder: str, strategy: dict[str, Any] | None = None) -> None:
    changes = {} if strategy is None else dict(strategy=strategy, model=dict(type="PlainNet"))
    whole, losses = losses_of(resume_config(f"{folder}/whole", **changes))
    with contextlib.suppress(Stop):
        losses_of(resume_config(f"{folder}/parts", **changes), StopAt(7))
    resumed, rest = losses_of(resume_config(f"{folder}/parts", resume=True, **changes))
    keep(folder, whole=plain_weights(whole), resumed=plain_weights(resumed), same=losses[7:] == rest, rest=len(rest))


def go_on(folder: str, path: str, **changes: Any) -> None:
    runner, losses = losses_of(plain_config(f"{folder}/on", load_from=path, resume=True, **changes))
    keep(folder, losses=losses, iter=runner.iter, weights=plain_weights(runner))


def train_with_fsdp_and_ddp(folder: str, options: dict[str, Any]) -> None:
    adam = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.05), clip_grad=dict(max_norm=0.5))
    found = {}
    for name, strategy in (("ddp", dict(type="DDPStrategy")), ("fsdp", dict(type="FSDPStrategy", **options))):
        runner, losses = losses_of(plain_config(f"{folder}/{name}", optim_wrapper=adam, strategy=strategy))
        found[name] = dict(losses=losses, weights=plain_weights(runner))
    parts = [list(p.to_local().shape) for p in runner.model.parameters()]
    keep(folder, parts=parts, metrics=runner.val(), **found)


def preempt_in_a_window(folder: str) -> None:
    hooks = dict(
        checkpoint=dict(type="CheckpointHook", interval=100, save_last=False),
        preemption=dict(type="PreemptionHook", interval=1),
    )
    average = [dict(type="EMAHook", momentum=0.1, update_buffers=True)]
    changes = dict(batch_size=2, accumulate=4, model=dict(type="ToyNet"), default_hooks=hooks, custom_hooks=average)
    watched, again = Validated(), Validated()
    whole, losses = losses_of(plain_config(f"{folder}/whole", **changes), watched)
    kill = [Kill("before_train_iter", 5, signal.SIGTERM)] if get_rank() == 1 else []
    with contextlib.suppress(Preempted):
        losses_of(plain_config(f"{folder}/parts", **changes), *kill)
    resumed, rest = losses_of(plain_config(f"{folder}/parts", resume=True, **changes), again)
    keep(
        folder,
        same=losses[-len(rest) :] == rest,
        rest=len(rest),
        validated=watched.weights,
        validated_again=again.weights,
        trained=dict(whole.model.named_parameters()),
        trained_again=dict(resumed.model.named_parameters()),
        scores=[run.message_hub.get_scalar("val/toy/accuracy").data[0].tolist() for run in (whole, resumed)],
    )


class Validated(Hook):
    """Remember the weights that were validated last."""

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.weights = plain_weights(runner)


def average_config(folder: str, average: dict[str, Any], strategy: dict[str, Any], **changes: Any) -> dict[str, Any]:
    hooks = dict(checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False, published_keys="state_dict"))
    changes = {"strategy": strategy, "default_hooks": hooks, "model": dict(type="ToyNet"), **changes}
    return plain_config(folder, custom_hooks=[dict(type="EMAHook", **average)], **changes)


def average_of(runner: Runner) -> nn.Module:
    return next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module


def average_in_parts(folder: str, average: dict[str, Any], checkpoint: str) -> None:
    parts = dict(type="FSDPStrategy", min_params=20, checkpoint=checkpoint)
    copies, _ = losses_of(average_config(f"{folder}/ddp", average, dict(type="DDPStrategy")))
    validated = Validated()
    whole, losses = losses_of(average_config(f"{folder}/whole", average, parts), validated)
    with contextlib.suppress(Stop):
        losses_of(average_config(f"{folder}/parts", average, parts), StopAt(5))
    resumed, rest = losses_of(average_config(f"{folder}/parts", average, parts, resume=True))
    keep(
        folder,
        same=losses[5:] == rest,
        shapes=[list(p.to_local().shape) for p in average_of(whole).parameters()],
        validated=validated.weights,
        **{f"{name}_trained": plain_weights(run) for name, run in [("whole", whole), ("resumed", resumed)]},
        **{
            f"{name}_average": whole_weights(average_of(run))
            for name, run in [("ddp", copies), ("whole", whole), ("resumed", resumed)]
        },
    )


def fail_in_one_rank(folder: str, how: str) -> None:
    failure.GRACE = 2.0
    if how == "metric":
        cfg = plain_config(folder, val_evaluator=dict(type="FailingMetric"))
    else:
        cfg = plain_config(folder, custom_hooks=[FailAt(how)])
    Runner.from_cfg(cfg).train()


@HOOKS.register_module()
class FailAt(Hook):
    """Fail in rank 1; rank 0 goes on, or waits as in a collective that nobody breaks off."""

    def __init__(self, how: str) -> None:
        self.how = how

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2 and get_rank() == 1:
            raise LookupError("the third batch of rank 1")
        if runner.iter == 2 and self.how == "blocked":
            time.sleep(60)

"""Measure where the time of training goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule, tensorboard_trace_handler

from visuite.engine.hooks.hook import DataBatch, Hook
from visuite.engine.registry import HOOKS
from visuite.engine.utils.text import did_you_mean

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

TraceHandler = Callable[[profile], None]


@HOOKS.register_module()
class ProfilerHook(Hook):
    """Profile the first epochs or iterations of training with `torch.profiler`.

    Args:
        by_epoch: Whether `profile_times` counts epochs, or iterations.
        profile_times: How many to profile, from where this process begins (or resumes); a shorter run is profiled
            whole, with a warning.
        activity_with_cpu: Record what the CPU does.
        activity_with_cuda: Record what the GPU does, where there is one.
        schedule: Arguments of `torch.profiler.schedule`: `wait`, `warmup`, `active`, `repeat`, `skip_first`, in
            iterations; by default everything is recorded.
        on_trace_ready: A callable that gets the profiler when a recording is complete; or `dict(type='log_trace',
            sort_by=..., row_limit=...)`, a table in the log, which is the default; or `dict(type='tb_trace',
            dir_name=...)`, files for TensorBoard, by default in the run's `tf_tracing_logs`.
        record_shapes, profile_memory, with_stack, with_flops: As for `torch.profiler.profile`.
        json_trace_path: Also write a trace for chrome://tracing here, when profiling ends.

    Raises:
        ValueError: nothing to record, or an unknown kind of `on_trace_ready`.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        by_epoch: bool = True,
        profile_times: int = 1,
        activity_with_cpu: bool = True,
        activity_with_cuda: bool = False,
        schedule: dict[str, int] | None = None,
        on_trace_ready: TraceHandler | dict[str, Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        json_trace_path: str | None = None,
    ) -> None:
        if not (activity_with_cpu or activity_with_cuda):
            raise ValueError("ProfilerHook: nothing to record, set activity_with_cpu or activity_with_cuda")
        if profile_times < 1:
            raise ValueError(f"ProfilerHook: profile_times is at least 1, not {profile_times}")
        if json_trace_path is not None and Path(json_trace_path).suffix not in (".json", ".gz"):
            raise ValueError(f"ProfilerHook: json_trace_path ends in .json or .json.gz: {json_trace_path!r}")
        self.by_epoch = by_epoch
        self.profile_times = profile_times
        self.on_cpu, self.on_cuda = activity_with_cpu, activity_with_cuda
        self.schedule = schedule
        self.on_trace_ready = on_trace_ready
        self.options: dict[str, Any] = dict(
            record_shapes=record_shapes, profile_memory=profile_memory, with_stack=with_stack, with_flops=with_flops
        )
        self.json_trace_path = json_trace_path
        self.profiler: profile | None = None

    def before_train(self, runner: Runner) -> None:
        """Start recording."""
        longest = runner.max_epochs if self.by_epoch else runner.max_iters
        if self.profile_times > longest:  # a trial of a config is shorter than what it is a trial of
            unit = "epochs" if self.by_epoch else "iterations"
            runner.logger.warning(
                f"ProfilerHook: profile_times={self.profile_times}, but the run has only {longest} {unit}: "
                "all of it is profiled"
            )
        self.profiler = profile(
            activities=self._activities(runner),
            schedule=None if self.schedule is None else schedule(**self.schedule),
            on_trace_ready=self._handler(runner),
            **self.options,
        )
        self._left = self.profile_times
        self.profiler.start()
        runner.at_end.callback(self._finish, runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Tell the profiler that an iteration ends."""
        if self.profiler is not None:
            if self.schedule is not None:
                self.profiler.step()
            self._count(runner, ends=not self.by_epoch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Tell the profiler that an epoch ends."""
        if self.profiler is not None:
            self._count(runner, ends=self.by_epoch)

    def _count(self, runner: Runner, *, ends: bool) -> None:
        self._left -= ends
        if not self._left:
            self._finish(runner)

    def _finish(self, runner: Runner) -> None:
        """Stop recording; the second call does nothing."""
        if self.profiler is None:
            return
        profiler, self.profiler = self.profiler, None
        profiler.stop()
        runner.logger.info("profiling has ended, and no longer slows the training down")
        if self.json_trace_path is not None:
            path = of_rank(self.json_trace_path, runner.rank)
            path.parent.mkdir(parents=True, exist_ok=True)
            profiler.export_chrome_trace(str(path))
            runner.logger.info(f"trace for chrome://tracing in {path}")

    # ------------------------------------------------------------------ what to record, and where to

    def _activities(self, runner: Runner) -> list[ProfilerActivity]:
        if self.on_cuda and not torch.cuda.is_available():
            runner.logger.warning("ProfilerHook: there is no GPU to record")
        wanted = [ProfilerActivity.CPU] * self.on_cpu
        return wanted + [ProfilerActivity.CUDA] * (self.on_cuda and torch.cuda.is_available())

    def _handler(self, runner: Runner) -> TraceHandler:
        if callable(self.on_trace_ready):
            return self.on_trace_ready
        options = dict(self.on_trace_ready or {"type": "log_trace"})
        kind = options.pop("type", None)
        if kind == "log_trace":
            return lambda profiler: self._log(runner, profiler, options)
        if kind == "tb_trace":
            return self._tensorboard(runner, options)
        hint = did_you_mean(str(kind), ("log_trace", "tb_trace"))
        raise ValueError(f"ProfilerHook: on_trace_ready has the type 'log_trace' or 'tb_trace', not {kind!r}{hint}")

    def _log(self, runner: Runner, profiler: profile, options: Mapping[str, Any]) -> None:
        table = profiler.key_averages().table(**{"sort_by": "self_cpu_time_total", "row_limit": 20, **options})
        runner.logger.info(f"profile:\n{table}")

    def _tensorboard(self, runner: Runner, options: Mapping[str, Any]) -> TraceHandler:
        folder = Path(runner.log_dir, "tf_tracing_logs")
        if "dir_name" in options:
            folder = Path(options["dir_name"])
        others = {key: value for key, value in options.items() if key != "dir_name"}
        return tensorboard_trace_handler(str(folder), **{"worker_name": f"rank{runner.rank}", **others})


def of_rank(path: str, rank: int) -> Path:
    """Return the path that a rank writes to: the given one on the first, a numbered one beside it on the others."""
    given = Path(path)
    stem, dot, suffixes = given.name.partition(".")
    return given if rank == 0 else given.with_name(f"{stem}_rank{rank}{dot}{suffixes}")

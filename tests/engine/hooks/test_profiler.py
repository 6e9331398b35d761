"""Profiling, and giving memory back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.hooks import EmptyCacheHook, Hook, ProfilerHook
from visuite.engine.runner import Runner


class Recording(Hook):
    """Count the iterations that were profiled."""

    priority = "HIGHEST"

    def __init__(self) -> None:
        self.iterations = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        hook = next(hook for hook in runner.hooks if isinstance(hook, ProfilerHook))
        if hook.profiler is not None:
            self.iterations.append(runner.iter)


def profiled(work_dir, *hooks, changes=None, **options):
    recording = Recording()
    hook = dict(type="ProfilerHook", **options)
    runner = Runner.from_cfg(config(work_dir, custom_hooks=[hook, recording, *hooks], **(changes or {})))
    return runner, recording


def operators(path):
    return {event.get("name") for event in json.loads(path.read_text())["traceEvents"]}


def test_an_epoch_is_profiled_and_nothing_changes(tmp_path, capfd):
    trace = tmp_path / "traces" / "one.json"
    changes = dict(log_level="INFO")
    runner, recording = profiled(tmp_path / "1", json_trace_path=str(trace), changes=changes)
    trained = weights(runner.train())
    assert recording.iterations == [0, 1, 2, 3, 4]
    assert "aten::addmm" in operators(trace)
    assert "aten::addmm" in capfd.readouterr().err + next((tmp_path / "1").glob("*/*.log")).read_text()
    assert_same_bits(trained, weights(Runner.from_cfg(config(tmp_path / "2")).train()))


def test_iterations_are_profiled_by_a_schedule(tmp_path):
    ready = []
    schedule = dict(wait=1, warmup=1, active=2, repeat=2)
    runner, recording = profiled(
        tmp_path, by_epoch=False, profile_times=8, schedule=schedule,
        on_trace_ready=lambda profiler: ready.append(profiler.step_num),
    )  # fmt: skip
    runner.train()
    assert recording.iterations == list(range(8))
    assert ready == [4, 8]


def test_tensorboard_gets_its_files(tmp_path):
    runner, _ = profiled(tmp_path, on_trace_ready=dict(type="tb_trace", dir_name=str(tmp_path / "tb")))
    runner.train()
    assert len(list((tmp_path / "tb").glob("rank0.*.pt.trace.json"))) == 1


def test_tensorboards_files_lie_in_the_runs_folder_by_default(tmp_path):
    runner, _ = profiled(tmp_path, on_trace_ready=dict(type="tb_trace"))
    runner.train()
    assert len(list(Path(runner.log_dir, "tf_tracing_logs").glob("rank0.*.pt.trace.json"))) == 1


def test_the_table_is_sorted_and_cut_as_asked(tmp_path, capfd):
    table = dict(type="log_trace", sort_by="count", row_limit=2)
    profiled(tmp_path, on_trace_ready=table, changes=dict(log_level="INFO"))[0].train()
    rows = [line for line in capfd.readouterr().out.splitlines() if line.lstrip().startswith("aten::")]
    assert len(rows) == 2
    counts = [int(row.split()[-1]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 5


@pytest.mark.parametrize(("by_epoch", "times", "length"), [(True, 4, "3 epochs"), (False, 16, "15 iterations")])
def test_a_shorter_run_is_profiled_whole(tmp_path, capfd, by_epoch, times, length):
    runner, recording = profiled(
        tmp_path, by_epoch=by_epoch, profile_times=times, json_trace_path=str(tmp_path / "trace.json")
    )
    runner.train()
    assert f"profile_times={times}, but the run has only {length}" in capfd.readouterr().out
    assert recording.iterations == list(range(15))
    assert "aten::addmm" in operators(tmp_path / "trace.json")


RECORDED = {
    "record_shapes": lambda event: event.input_shapes,
    "profile_memory": lambda event: event.self_cpu_memory_usage,
    "with_stack": lambda event: event.name.endswith(": train_step"),
    "with_flops": lambda event: event.flops,
}


@pytest.mark.parametrize("option", RECORDED)
def test_what_is_recorded_is_what_was_asked_for(tmp_path, option):
    for value in (False, True):
        got = []
        hook = dict(by_epoch=False, profile_times=1, on_trace_ready=lambda one, got=got: got.extend(one.events()))
        profiled(tmp_path / str(value), **hook, **{option: value})[0].train()
        assert any(map(RECORDED[option], got)) == value


def test_a_run_that_fails_has_its_trace(tmp_path):
    trace = tmp_path / "one.json"
    runner, _ = profiled(tmp_path, StopAt(3), json_trace_path=str(trace))
    with pytest.raises(Stop):
        runner.train()
    assert "aten::addmm" in operators(trace)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(activity_with_cpu=False), "nothing to record"),
        (dict(profile_times=0), "at least 1"),
        (dict(json_trace_path="trace.txt"), "ends in .json"),
        (dict(on_trace_ready=dict(type="log_trase")), "did you mean 'log_trace'"),
    ],
)
def test_bad_options_are_told(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        profiled(tmp_path, **options)[0].train()


def test_memory_is_given_back_when_asked(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    counts = {}
    for name in ("before_epoch", "after_epoch", "after_iter"):
        hook = EmptyCacheHook(**{"after_epoch": False, name: True})
        runner = Runner.from_cfg(config(tmp_path / name, custom_hooks=[hook]))
        _ = runner.model  # on the CPU
        runner.train()
        assert not calls  # the CPU has no such cache
        runner.__dict__["device"] = torch.device("cuda")
        for mode in ("train", "val", "test"):
            hook._before_epoch(runner, mode=mode)
            hook._after_epoch(runner, mode=mode)
            hook._after_iter(runner, 0, mode=mode)
        counts[name] = len(calls)
        calls.clear()
    assert counts == {"before_epoch": 3, "after_epoch": 3, "after_iter": 3}

"""Ending on request: with a checkpoint, the right exit code, and nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.hooks import Hook, Preempted, PreemptionHook
from visuite.engine.registry import HOOKS
from visuite.engine.runner import Runner

ROOT = Path(__file__).parents[3]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


class Kill(Hook):
    """Send signals to this process at a point, when so many iterations are done."""

    def __init__(self, point: str, iteration: int, *signals: int) -> None:
        self.iteration, self.signals = iteration, signals
        setattr(self, point, self._kill)

    def _kill(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            for one in self.signals:
                os.kill(os.getpid(), one)

    before_train_iter = after_val_iter = after_run = before_train_epoch = lambda self, runner, *args, **kwargs: None


def ema_config(work_dir, *hooks, **changes):
    average = dict(type="EMAHook", momentum=0.1)
    checkpoint = dict(type="CheckpointHook", interval=100, save_last=False)
    return config(work_dir, custom_hooks=[average, *hooks], default_hooks=dict(checkpoint=checkpoint), **changes)


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in CODES}
    yield before
    assert {number: signal.getsignal(number) for number in CODES} == before


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    ("point", "iteration", "saved"),
    [
        ("before_train_iter", 0, 1),
        ("before_train_iter", 6, 7),
        ("before_train_epoch", 5, 6),
        ("after_val_iter", 10, 10),
    ],
)
def test_the_run_ends_with_a_checkpoint_and_goes_on_from_there(tmp_path, handlers, number, point, iteration, saved):
    whole = Runner.from_cfg(ema_config(tmp_path / "whole"))
    never_stopped = weights(whole.train())
    runner = Runner.from_cfg(ema_config(tmp_path / "parts", Kill(point, iteration, number)))
    with pytest.raises(Preempted) as ended:
        runner.train()
    assert ended.value.code == CODES[number]
    checkpoint = torch.load(tmp_path / "parts" / "preempted.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == saved
    assert (tmp_path / "parts" / "last_checkpoint").read_text() == str(tmp_path / "parts" / "preempted.pth")
    resumed = Runner.from_cfg(ema_config(tmp_path / "parts", resume=True))
    assert_same_bits(weights(resumed.train()), never_stopped)
    for name in ("train/loss", "val/toy/accuracy"):  # no iteration and no validation is missing or doubled
        histories = [r.message_hub.get_scalar(name).data[0].tolist() for r in (resumed, whole)]
        assert histories[0] == histories[1]


def test_several_interruptions_leave_one_file_and_the_end_none(tmp_path, handlers):
    regular = dict(default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=3)))
    for iteration in (2, 4, 8):
        kill = Kill("before_train_iter", iteration, signal.SIGTERM)
        with pytest.raises(Preempted):
            Runner.from_cfg(config(tmp_path, custom_hooks=[kill], resume=True, **regular)).train()
        assert [path.name for path in tmp_path.glob("*.pth")] == ["preempted.pth"]
    resumed = Runner.from_cfg(config(tmp_path, resume=True, **regular))
    resumed.train()
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_3.pth"]
    whole = Runner.from_cfg(config(tmp_path / "whole", **regular)).train()
    assert_same_bits(weights(resumed.model), weights(whole))


def test_it_saves_beside_the_regular_checkpoints(tmp_path, handlers):
    checkpoint = dict(type="CheckpointHook", interval=1, out_dir=str(tmp_path / "out"))
    kill = Kill("before_train_iter", 2, signal.SIGTERM)
    cfg = config(tmp_path / "work", custom_hooks=[kill], default_hooks=dict(checkpoint=checkpoint))
    with pytest.raises(Preempted):
        Runner.from_cfg(cfg).train()
    assert (tmp_path / "out" / "work" / "preempted.pth").is_file()
    assert Runner.from_cfg({**cfg, "resume": True}).resume_from.endswith("out/work/preempted.pth")


def test_a_second_interrupt_does_not_wait(tmp_path, handlers):
    runner = Runner.from_cfg(ema_config(tmp_path, Kill("before_train_iter", 3, signal.SIGINT, signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert not (tmp_path / "preempted.pth").exists()


def test_a_failing_run_gives_the_signals_back(tmp_path, handlers):
    class Fail(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            assert signal.getsignal(signal.SIGTERM) is not handlers[signal.SIGTERM]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Runner.from_cfg(ema_config(tmp_path, Fail())).train()


def test_a_signal_too_late_for_training_is_passed_on(tmp_path):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        Runner.from_cfg(ema_config(tmp_path, Kill("after_run", 15, signal.SIGTERM))).train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
    assert not (tmp_path / "preempted.pth").exists()


def test_outside_the_main_thread_signals_are_left_alone(tmp_path, handlers):
    class Look(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.same = signal.getsignal(signal.SIGTERM) is handlers[signal.SIGTERM]

    look = Look()
    runner = Runner.from_cfg(ema_config(tmp_path, look))
    thread = threading.Thread(target=runner.train)
    thread.start()
    thread.join()
    assert runner.iter == 15
    assert look.same


def test_a_failed_save_is_told(tmp_path, handlers, monkeypatch):
    runner = Runner.from_cfg(ema_config(tmp_path, Kill("before_train_iter", 3, signal.SIGTERM)))
    monkeypatch.setattr(torch, "save", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        runner.train()


def test_every_run_has_it_unless_the_config_removes_it(tmp_path):
    assert any(isinstance(hook, PreemptionHook) for hook in Runner.from_cfg(config(tmp_path)).hooks)
    without = Runner.from_cfg(config(tmp_path, default_hooks=dict(preemption=None)))
    assert not any(isinstance(hook, PreemptionHook) for hook in without.hooks)
    assert PreemptionHook(signals=["SIGUSR1"]).signals == [signal.SIGUSR1]


# ---------------------------------------------------------------------- the real thing, in processes of its own


PATIENCE = 300  # seconds, for machines that do much else


@HOOKS.register_module()
class WaitForSignal(Hook):
    """Tell every iteration, and do not end iteration 7 before the signal is there."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        print("iteration", runner.iter, flush=True)
        (preemption,) = [hook for hook in runner.hooks if isinstance(hook, PreemptionHook)]
        began = time.monotonic()
        while runner.iter == 7 and not preemption._received and time.monotonic() < began + PATIENCE:
            time.sleep(0.01)


CONFIG = """
from_tests = ["tests.engine.runner.toy", "tests.engine.hooks.test_preemption"]
custom_imports = dict(imports=from_tests)
custom_hooks = [dict(type="WaitForSignal")]
train_dataloader = dict(
    batch_size=4, num_workers=2, persistent_workers=True, dataset=dict(type="ToyData"),
    sampler=dict(type="DefaultSampler", shuffle=True), collate_fn=dict(type="default_collate"))
val_cfg = dict()
val_dataloader = dict(
    batch_size=4, num_workers=1, dataset=dict(type="ToyData"),
    sampler=dict(type="DefaultSampler", shuffle=False), collate_fn=dict(type="default_collate"))
val_evaluator = dict(type="ToyAccuracy")
train_cfg = dict(by_epoch=True, max_epochs=4)
model = dict(type="ToyNet")
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1, momentum=0.9))
randomness = dict(seed=7)
log_level = "WARNING"
"""


def run_tool(folder, *arguments):
    command = [sys.executable, str(ROOT / "tools/train.py"), str(folder / "cfg.py"), "--work-dir", str(folder / "work")]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_the_tool_ends_and_resumes_though_the_signal_meets_its_workers_too(tmp_path, number):
    (tmp_path / "cfg.py").write_text(CONFIG)
    process = run_tool(tmp_path)
    for line in process.stdout:
        if line.startswith("iteration 7"):
            os.killpg(process.pid, number)
            break
    errors = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == CODES[number], errors
    assert "asked to end" in errors
    resumed = run_tool(tmp_path, "--resume", "auto")
    out, errors = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, errors
    assert out.splitlines()[0] == "iteration 8"
    loader = dict(batch_size=4, dataset=dict(type="ToyData"), collate_fn=dict(type="default_collate"))
    whole = config(tmp_path / "whole", train_cfg=dict(by_epoch=True, max_epochs=4), param_scheduler=None)
    whole["train_dataloader"] = {**loader, "sampler": dict(type="DefaultSampler", shuffle=True)}
    never_stopped = weights(Runner.from_cfg(whole).train())
    last = torch.load(tmp_path / "work" / "epoch_4.pth", weights_only=True)
    assert_same_bits(last["state_dict"], never_stopped)

"""Resuming equals never having stopped, whatever ended the run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch

from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.hooks import Hook
from visuite.engine.runner import Runner


class Stop(Exception):
    """The power went off."""


class StopAt(Hook):
    """End the run by an exception after so many iterations, when the checkpoint is written."""

    priority = "LOWEST"

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            raise Stop


def run_config(work_dir, **changes):
    hooks = dict(
        logger=dict(type="LoggerHook", interval=2), checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False)
    )
    optim = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01), clip_grad=dict(max_norm=1.0))
    return config(work_dir, **{"default_hooks": hooks, "optim_wrapper": optim, **changes})


CASES = {
    "by epoch": dict(),
    "by iteration": dict(train_cfg=dict(by_epoch=False, max_iters=15, val_interval=4)),
    "accumulating": dict(
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1, momentum=0.9), accumulative_counts=4)
    ),
    "plateau": dict(param_scheduler=dict(type="ReduceOnPlateauLR", monitor="toy/accuracy", rule="greater", patience=0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stop", [1, 4, 5, 7, 12])
def test_resuming_at_any_iteration_gives_the_same_bits(tmp_path, name, stop):
    never_stopped = weights(Runner.from_cfg(run_config(tmp_path / "whole", **CASES[name])).train())
    with pytest.raises(Stop):
        Runner.from_cfg(run_config(tmp_path / "parts", custom_hooks=[StopAt(stop)], **CASES[name])).train()
    resumed = Runner.from_cfg(run_config(tmp_path / "parts", resume=True, **CASES[name]))
    state = weights(resumed.train())
    assert resumed.iter == 15
    assert_same_bits(state, never_stopped)


def test_a_resumed_run_keeps_the_best_and_what_it_wrote(tmp_path):
    hooks = dict(checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=2, save_best="toy/accuracy"))
    with pytest.raises(Stop):
        Runner.from_cfg(run_config(tmp_path, default_hooks=hooks, custom_hooks=[StopAt(12)])).train()
    runner = Runner.from_cfg(run_config(tmp_path, default_hooks=hooks, resume=True))
    runner.train()
    names = sorted(path.name for path in tmp_path.glob("*.pth"))
    assert names[-2:] == ["epoch_2.pth", "epoch_3.pth"]
    assert len(names) == 3
    assert names[0].startswith("best_toy_accuracy_epoch_")


def test_the_seed_goes_on_when_the_config_has_none(tmp_path):
    whole = Runner.from_cfg(run_config(tmp_path / "whole", randomness=dict(seed=None)))
    never_stopped = weights(whole.train())
    again = Runner.from_cfg(
        run_config(
            tmp_path / "parts",
            randomness=dict(seed=None),
            resume=True,
            load_from=str(tmp_path / "whole" / "iter_7.pth"),
        )
    )
    assert_same_bits(weights(again.train()), never_stopped)
    assert again.seed == whole.seed


def test_resuming_under_another_seed_is_told(tmp_path, capfd):
    Runner.from_cfg(run_config(tmp_path)).train()
    other = run_config(tmp_path, randomness=dict(seed=1), resume=True, load_from=str(tmp_path / "iter_7.pth"))
    Runner.from_cfg(other).train()
    out = capfd.readouterr()
    assert "trained with seed 7; this run uses 1" in out.out + out.err


def test_nothing_to_resume_is_a_new_run(tmp_path):
    runner = Runner.from_cfg(run_config(tmp_path, resume=True))
    runner.train()
    assert runner.iter == 15


def inside_the_largest_part(path: Path) -> int:
    """Return where the middle of the largest part of a checkpoint's archive lies, which is no padding between parts."""
    with zipfile.ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda one: one.file_size)
    head = path.read_bytes()[part.header_offset : part.header_offset + 30]
    names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    return part.header_offset + 30 + names + part.file_size // 2


@pytest.mark.parametrize("fault", ["truncated", "empty", "flipped"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path, capfd, fault):
    never_stopped = weights(Runner.from_cfg(run_config(tmp_path)).train())
    for number in (14, 15):
        newest = tmp_path / f"iter_{number}.pth"
        content = bytearray(newest.read_bytes())
        if fault == "truncated":
            content = content[: len(content) * 2 // 3]
        elif fault == "empty":
            content = b""
        else:
            content[inside_the_largest_part(newest)] ^= 0xFF
        newest.write_bytes(content)
    runner = Runner.from_cfg(run_config(tmp_path, resume=True))
    assert_same_bits(weights(runner.train()), never_stopped)
    out = capfd.readouterr()
    assert "iter_15.pth is damaged" in out.out + out.err
    assert "iter_14.pth is damaged" in out.out + out.err


def test_a_checkpoint_is_plain_data(tmp_path):
    Runner.from_cfg(run_config(tmp_path)).train()
    checkpoint = torch.load(tmp_path / "iter_15.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 15
    assert checkpoint["meta"]["epoch"] == 2  # written before the third epoch was closed
    assert {"meta", "state_dict", "optimizer", "param_schedulers", "message_hub"} <= checkpoint.keys()
    assert "model = dict(" in checkpoint["meta"]["cfg"]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.engine.runner.test_resume import run_config
from visuite.engine.hooks import Hook
from visuite.engine.runner import Runner
import time
class Slow(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        time.sleep(0.02)
        print("iteration", runner.iter, flush=True)
cfg = run_config({work!r}, custom_hooks=[Slow()], train_cfg=dict(by_epoch=True, max_epochs=8))
Runner.from_cfg(cfg).train()
"""


def test_a_killed_process_resumes_to_the_same_bits(tmp_path):
    root = str(Path(__file__).parents[3])
    long = dict(train_cfg=dict(by_epoch=True, max_epochs=8))
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(root=root, work=str(tmp_path / "parts"))],
        stdout=subprocess.PIPE,
        text=True,
    )
    last = random.randrange(3, 30)
    for line in process.stdout:
        if line.startswith("iteration") and int(line.split()[1]) >= last:
            break
    time.sleep(random.random() * 0.03)  # anywhere in an iteration, a save included
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = Runner.from_cfg(run_config(tmp_path / "parts", resume=True, **long))
    state = weights(resumed.train())
    never_stopped = weights(Runner.from_cfg(run_config(tmp_path / "whole", **long)).train())
    assert_same_bits(state, never_stopped)

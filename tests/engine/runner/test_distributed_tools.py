"""The scripts that start several processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tools.test_train import CONFIG

ROOT = Path(__file__).parents[3]
FAILING = """
custom_imports = dict(imports=["tests.engine.runner.toy", "tests.engine.runner.ranks"])
custom_hooks = [dict(type="FailAt", how="raises")]
"""


def run(tool: str, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
    paths = {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [str(ROOT / "tools" / tool), *map(str, args)]
    return subprocess.run(command, env={**os.environ, **paths, **env}, capture_output=True, text=True, timeout=240)


@pytest.mark.slow
def test_two_processes_train_and_test(tmp_path):
    config = tmp_path / "toy.py"
    config.write_text(CONFIG)
    trained = run("dist_train.sh", config, 2, "--work-dir", tmp_path / "work")
    assert trained.returncode == 0, trained.stderr
    assert "Epoch(train) [2][2/3]" in trained.stdout  # 20 samples, 4 on each of 2
    tested = run("dist_test.sh", config, tmp_path / "work/epoch_2.pth", 2, "--work-dir", tmp_path / "test")
    assert tested.returncode == 0, tested.stderr
    assert "toy/accuracy" in tested.stdout
    assert "toy/count: 20" in tested.stdout


@pytest.mark.slow
def test_a_failing_process_ends_the_run_with_its_traceback(tmp_path):
    config = tmp_path / "toy.py"
    config.write_text(CONFIG + FAILING)
    begin = time.monotonic()
    ended = run("dist_train.sh", config, 2, "--work-dir", tmp_path / "work")
    assert ended.returncode != 0
    assert time.monotonic() - begin < 90  # starting and compiling nothing, on a busy machine
    summary = ended.stderr.rpartition("Root Cause")[2]
    assert "rank      : 1" in summary
    assert "LookupError: the third batch of rank 1" in summary


def test_slurm_gets_a_task_for_each_gpu(tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nprintf "%s " "$@"\n')
    srun.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = run("slurm_train.sh", "gpu", "toy", "toy.py", "work", "--amp", GPUS="4", PATH=path, SRUN_ARGS="--qos high")
    words = " ".join(said.stdout.split())
    for part in ("--gres gpu:4 --ntasks 4 --ntasks-per-node 4", "--kill-on-bad-exit=1 --qos high", "toy.py --work-dir"):
        assert part in words
    assert words.endswith("work --launcher slurm --amp")


@pytest.mark.parametrize("tool", ["dist_train.sh", "dist_test.sh", "slurm_train.sh"])
def test_without_arguments_a_script_says_how_it_is_used(tool):
    said = run(tool)
    assert said.returncode == 2
    assert f"tools/{tool} " in said.stderr

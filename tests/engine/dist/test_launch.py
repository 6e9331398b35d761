import os
from datetime import timedelta

import pytest
import torch

from visuite.engine import dist
from visuite.engine.dist import launch

OURS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def env(monkeypatch):
    """An environment that no launcher has filled."""
    others = {
        name: value
        for name, value in os.environ.items()
        if name not in OURS and not name.startswith(("SLURM_", "OMPI_", "PMI_", "MPI_"))
    }
    monkeypatch.setattr(os, "environ", others)
    return others


@pytest.fixture(autouse=True)
def joined(monkeypatch):
    """How the process group was asked for, in place of a group."""
    asked = {}
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend, **rest: asked.update(rest, backend=backend)
    )
    return asked


def place(env):
    return {name: env.get(name) for name in OURS}


def test_torchrun(env, joined):
    env.update(RANK="5", WORLD_SIZE="8", LOCAL_RANK="1", LOCAL_WORLD_SIZE="4", MASTER_ADDR="head", MASTER_PORT="1234")
    assert dist.infer_launcher() == "pytorch"
    before = place(env)
    dist.init_dist("pytorch", timeout=30)
    assert place(env) == before
    assert joined["timeout"] == timedelta(seconds=30)
    assert joined["backend"] == ("nccl" if torch.cuda.is_available() else "gloo")


def test_slurm(env):
    env.update(SLURM_PROCID="9", SLURM_NTASKS="11", SLURM_LOCALID="1", SLURM_NODEID="2", SLURM_JOB_ID="12001")
    env.update(SLURM_NODELIST="gpu-[003-005,9],cpu1", SLURM_STEP_TASKS_PER_NODE="4(x2),3")
    assert dist.infer_launcher() == "slurm"
    dist.init_dist("slurm", backend="gloo")
    assert list(place(env).values()) == ["9", "11", "1", "3", "gpu-003", "20001"]
    env["MASTER_PORT"] = "7"
    env["MASTER_ADDR"] = "head"
    dist.init_dist("slurm", backend="gloo", port=8)
    assert list(place(env).values())[-2:] == ["head", "7"]


def test_open_mpi(env):
    env.update(
        {
            f"OMPI_COMM_WORLD_{name}": value
            for name, value in zip(("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE"), "1212", strict=True)
        }
    )
    assert dist.infer_launcher() == "mpi"
    dist.init_dist("mpi", backend="gloo", port=4321)
    assert list(place(env).values()) == ["1", "2", "1", "2", "127.0.0.1", "4321"]
    env.update(OMPI_COMM_WORLD_LOCAL_SIZE="1")
    del env["MASTER_ADDR"]
    with pytest.raises(RuntimeError, match="MASTER_ADDR"):
        dist.init_dist("mpi")


def test_mpich(env):
    env.update(PMI_RANK="3", PMI_SIZE="4", MPI_LOCALRANKID="1", MPI_LOCALNRANKS="2", MASTER_ADDR="head")
    assert dist.infer_launcher() == "mpi"
    dist.init_dist("mpi", backend="gloo")
    assert list(place(env).values()) == ["3", "4", "1", "2", "head", "29500"]


@pytest.mark.parametrize(("launcher", "start"), [("pytorch", "torchrun"), ("slurm", "srun"), ("mpi", "mpirun")])
@pytest.mark.usefixtures("env")
def test_a_process_that_nobody_launched(launcher, start):
    assert dist.infer_launcher() == "none"
    with pytest.raises(RuntimeError, match=f"needs .* in the environment: start with {start}"):
        dist.init_dist(launcher)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="did you mean 'pytorch'"):
        dist.init_dist("pytoch")
    with pytest.raises(ValueError, match="init_backend"):
        dist.init_dist("pytorch", init_backend="other")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_config_that_says_nccl_runs_without_gpu(env, joined):
    env.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="head", MASTER_PORT="1")
    with pytest.warns(UserWarning, match="gloo, not nccl"):
        dist.init_dist("pytorch", backend="nccl")
    assert joined["backend"] == "gloo"


@pytest.mark.parametrize(
    ("nodes", "host"),
    [("a", "a"), ("a1,b2", "a1"), ("n[1,4-5]", "n1"), ("n[07-12]-ib,x", "n07-ib"), ("gpu-a[2]", "gpu-a2")],
)
def test_first_host_of_slurms_short_list(nodes, host):
    assert launch.first_host(nodes) == host

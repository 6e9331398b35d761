"""Join the processes that a launcher started into one group."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as torch_dist

from visuite.engine.dist.forking import fork_when_threads_rest
from visuite.engine.utils.text import did_you_mean


class Place(NamedTuple):
    """Where a process stands, and where rank 0 listens."""

    rank: int
    world_size: int
    local_rank: int
    local_size: int
    address: str
    port: int


def infer_launcher() -> str:
    """Tell from the environment who started this process: 'pytorch', 'slurm', 'mpi' or 'none'."""
    env = os.environ
    if "RANK" in env and "WORLD_SIZE" in env:
        return "pytorch"
    if "SLURM_PROCID" in env and "SLURM_NTASKS" in env:
        return "slurm"
    return "mpi" if "OMPI_COMM_WORLD_RANK" in env or "PMI_RANK" in env else "none"


def init_dist(
    launcher: str,
    backend: str | None = None,
    init_backend: str = "torch",
    *,
    timeout: float | timedelta | None = None,
    port: int | None = None,
    **kwargs: Any,
) -> None:
    """Initialise the default process group and choose this process's GPU.

    Args:
        launcher: 'pytorch' (torchrun), 'slurm' (srun) or 'mpi' (mpirun).
        backend: 'nccl', 'gloo', ...; by default nccl where there is a GPU, else gloo.
        init_backend: 'torch', the only one.
        timeout: Seconds that a process waits for the others.
        port: Where rank 0 listens, if neither the launcher nor MASTER_PORT says.
        **kwargs: For `torch.distributed.init_process_group`.

    Raises:
        ValueError: an unknown launcher or `init_backend`.
        RuntimeError: the launcher's environment variables are absent, or the machine has too few GPUs.
    """
    if launcher not in _PLACES:
        raise ValueError(f"launcher {launcher!r} is none of {', '.join(_PLACES)}{did_you_mean(launcher, _PLACES)}")
    if init_backend != "torch":
        raise ValueError(f"init_backend has to be 'torch', not {init_backend!r}")
    try:
        place = _PLACES[launcher](os.environ, port)
    except KeyError as missing:
        start = {"pytorch": "torchrun", "slurm": "srun", "mpi": "mpirun"}[launcher]
        raise RuntimeError(f"launcher {launcher!r} needs {missing} in the environment: start with {start}") from None
    if timeout is not None:
        kwargs["timeout"] = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
    backend = _usable(backend)
    _tell(place)
    _choose_gpu(place, backend)
    torch_dist.init_process_group(backend, **kwargs)
    fork_when_threads_rest()


def _usable(backend: str | None) -> str:
    has_gpu = torch.cuda.is_available()
    if backend == "nccl" and not has_gpu:
        warnings.warn("there is no GPU here: the processes talk over gloo, not nccl", stacklevel=3)
    return backend if backend and (backend != "nccl" or has_gpu) else ("nccl" if has_gpu else "gloo")


def _tell(place: Place) -> None:
    """Put a place where torch, and our own `get_local_rank`, read it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    os.environ.update({name: str(value) for name, value in zip(names, place, strict=True)})


def _choose_gpu(place: Place, backend: str) -> None:
    count = torch.cuda.device_count()
    if not count:
        return
    if backend == "nccl" and place.local_rank >= count:
        raise RuntimeError(f"process {place.local_rank} of this machine has no GPU: there are {count}")
    torch.cuda.set_device(place.local_rank % count)


# ---------------------------------------------------------------------- launchers


def _torchrun_place(env: Mapping[str, str], port: int | None) -> Place:
    size = int(env["WORLD_SIZE"])
    local_rank = int(env["LOCAL_RANK"])
    local_size = int(env.get("LOCAL_WORLD_SIZE", size))
    return Place(int(env["RANK"]), size, local_rank, local_size, env["MASTER_ADDR"], _port(env, port))


def _slurm_place(env: Mapping[str, str], port: int | None) -> Place:
    rank, size, local_rank = int(env["SLURM_PROCID"]), int(env["SLURM_NTASKS"]), int(env["SLURM_LOCALID"])
    nodes = env.get("SLURM_STEP_NODELIST") or env["SLURM_NODELIST"]
    tasks = _tasks_on_node(env.get("SLURM_STEP_TASKS_PER_NODE") or str(size), int(env.get("SLURM_NODEID", 0)))
    # A port of the job's own, so that two jobs on one machine do not meet.
    own = 20000 + int(env.get("SLURM_JOB_ID", 0)) % 12000
    return Place(rank, size, local_rank, tasks, env.get("MASTER_ADDR") or first_host(nodes), _port(env, port, own))


def _mpi_place(env: Mapping[str, str], port: int | None) -> Place:
    if "OMPI_COMM_WORLD_RANK" in env:  # Open MPI
        names = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")
        numbers = [int(env[f"OMPI_COMM_WORLD_{name}"]) for name in names]
    else:  # MPICH, Intel MPI
        rank, size = int(env["PMI_RANK"]), int(env["PMI_SIZE"])
        numbers = [rank, size, int(env.get("MPI_LOCALRANKID", rank)), int(env.get("MPI_LOCALNRANKS", size))]
    rank, size, local_rank, local_size = numbers
    if "MASTER_ADDR" not in env and local_size != size:
        raise RuntimeError("launcher 'mpi' on several machines needs MASTER_ADDR, the machine of rank 0")
    return Place(rank, size, local_rank, local_size, env.get("MASTER_ADDR", "127.0.0.1"), _port(env, port))


_PLACES = {"pytorch": _torchrun_place, "slurm": _slurm_place, "mpi": _mpi_place}


def _port(env: Mapping[str, str], port: int | None, default: int = 29500) -> int:
    return int(env.get("MASTER_PORT") or port or default)


def first_host(nodes: str) -> str:
    """Return the first host of Slurm's short list: `gpu-[003-010,12],cpu1` begins with `gpu-003`."""
    found = re.match(r"([^,\[]+)(?:\[([^\],-]+)[^\]]*\])?([^,\[]*)", nodes.strip())
    if found is None:
        raise RuntimeError(f"no host can be read from Slurm's list of nodes {nodes!r}")
    return "".join(part or "" for part in found.groups())


def _tasks_on_node(counts: str, node: int) -> int:
    """Return one node's entry of Slurm's `4(x2),3`: four tasks on two nodes, three on the next."""
    each: list[int] = []
    for tasks, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts):
        each += [int(tasks)] * int(times or 1)
    return each[min(node, len(each) - 1)]

"""The process that a run lives in: devices, ranks, threads and seeds."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import random
import time
import warnings
from typing import Any

import numpy as np
import torch

from visuite.engine.dataset.seeding import mix, seed_generators
from visuite.engine.dist import (
    broadcast_object_list,
    get_rank,
    init_dist,
    is_distributed,
    is_main_process,
    sync_random_seed,
)
from visuite.engine.logging import print_log
from visuite.engine.runner.speed import allow_tf32, set_backends
from visuite.engine.utils.manager import ManagerMixin
from visuite.engine.utils.processes import set_multi_processing
from visuite.engine.utils.text import did_you_mean

#: What `env_cfg` may have.
ENV_KEYS = (
    "cudnn_benchmark", "allow_tf32", "matmul_precision", "torch_backends", "mp_cfg", "dist_cfg", "resource_limit",
)  # fmt: skip


def setup_environment(env_cfg: dict[str, Any], launcher: str) -> None:
    """Apply `env_cfg`: torch's backends, worker processes, the process group.

    Args:
        env_cfg: `cudnn_benchmark`, `allow_tf32`, `matmul_precision` ('highest', 'high', 'medium'), `torch_backends`
            (nested dicts of attributes), `mp_cfg` (`mp_start_method`, `opencv_num_threads`), `dist_cfg`
            (`backend`, `timeout`), `resource_limit` of open files.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: a setting that torch does not have.
    """
    _set_torch(env_cfg)
    set_multi_processing(**{"distributed": launcher != "none", **env_cfg.get("mp_cfg", {})})
    if launcher != "none" and not is_distributed():
        init_dist(launcher, **(env_cfg.get("dist_cfg") or {}))
    _raise_file_limit(int(env_cfg.get("resource_limit", 4096)))


def _set_torch(env_cfg: dict[str, Any]) -> None:
    for key in env_cfg:
        if key not in ENV_KEYS:
            warnings.warn(f"env_cfg: nobody reads {key!r}{did_you_mean(key, ENV_KEYS)}", stacklevel=4)
    torch.backends.cudnn.benchmark = bool(env_cfg.get("cudnn_benchmark", False))
    if env_cfg.get("matmul_precision") is not None:
        torch.set_float32_matmul_precision(env_cfg["matmul_precision"])
    if env_cfg.get("allow_tf32") is not None:
        allow_tf32(bool(env_cfg["allow_tf32"]))
    set_backends(env_cfg.get("torch_backends") or {})


def leave_process_group() -> None:
    """Take leave of the other processes at the end of a program, when its runs are no longer needed.

    A wrapped model keeps the group's threads alive, and those that outlive the interpreter may abort the process.
    """
    if is_distributed():
        gc.collect()  # a run and its hooks refer to each other
        torch.distributed.destroy_process_group()


def _raise_file_limit(wanted: int) -> None:
    """Workers pass tensors as open files: raise the soft limit where the system has one."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = min(max(soft, wanted), hard) if hard != resource.RLIM_INFINITY else max(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def run_device(strategy: str | None = None) -> torch.device:
    """Return the device of this process: its own GPU where there is one, else the CPU."""
    if strategy is not None:
        return torch.device(strategy)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def set_randomness(seed: int | None, *, diff_rank_seed: bool = False, deterministic: bool = False) -> int:
    """Seed every generator of this process and return the seed, drawn and shared by all ranks when None.

    Args:
        diff_rank_seed: Other numbers on every rank (the order of the data stays common).
        deterministic: Ask torch for deterministic algorithms, with a warning where there is none.
    """
    seed = sync_random_seed() if seed is None else int(seed)
    own = mix(seed, get_rank()) if diff_rank_seed else seed
    seed_generators(own)
    torch.cuda.manual_seed_all(own & 0x7FFFFFFFFFFFFFFF)
    if deterministic:
        if torch.backends.cudnn.benchmark:
            print_log("cudnn_benchmark is switched off: its choices are not deterministic", "current", logging.WARNING)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    return seed


def generator_states() -> dict[str, Any]:
    """Return the state of every generator of this process, as tensors and plain values."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    words_of_numpy = np.asarray(keys).astype(np.int64)
    return {
        "python": [version, list(words), gauss],
        "numpy": [
            kind,
            torch.from_numpy(words_of_numpy),
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


class OwnGenerators:
    """Generators of a run's own: a context inside which the process's global ones are these.

    They begin as the process's are when the context is first entered. Runs in one process so draw as if each were
    alone, one inside the other or in turn.
    """

    def __init__(self) -> None:
        self._own: dict[str, Any] | None = None
        self._outer: dict[str, Any] | None = None

    def __enter__(self) -> None:
        self._outer = generator_states()
        if self._own is not None:
            restore_generators(self._own)

    def __exit__(self, *error: object) -> None:
        self._own = generator_states()
        assert self._outer is not None
        restore_generators(self._outer)


def restore_generators(states: dict[str, Any]) -> None:
    """Set the generators of this process to what `generator_states` returned."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"].cpu())
    cuda = [state.cpu() for state in states["cuda"]]
    if cuda and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all(cuda)


def claim_log_dir(work_dir: str) -> str:
    """Make a folder for this run's logs, named by its start time, and return its path, the same on all ranks.

    A run that starts in the same second as another of the same `work_dir` gets a numbered one.
    """
    chosen = [""]
    if is_main_process():
        stamp = time.strftime("%Y%m%d_%H%M%S")
        for name in itertools.chain([stamp], (f"{stamp}-{number}" for number in itertools.count(2))):
            chosen[0] = os.path.join(work_dir, name)
            try:
                os.makedirs(chosen[0])
            except FileExistsError:
                continue
            break
    broadcast_object_list(chosen)
    os.makedirs(chosen[0], exist_ok=True)  # a rank may see another disk
    return chosen[0]


def unique_name(name: str, kind: type[ManagerMixin]) -> str:
    """Return `name`, numbered where an instance of it exists: two runs may start in the same second."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    full = name
    while kind.check_instance_created(full):
        full = next(numbered)
    return full

"""Send picklable objects between the processes of one run, which trust each other."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

import torch.distributed as torch_dist

from visuite.engine.dist.group import Group, barrier, get_backend, get_default_group, get_dist_info, get_world_size

_NOTHING = object()
_cpu_group: tuple[Group, Group] | None = None  # the default group, and the group beside it that sends from the CPU


def broadcast_object_list(data: list[Any], src: int = 0, group: Group | None = None) -> None:
    """Give every process the objects of process `src`, in place; the lists have the same length."""
    if not isinstance(data, list):
        raise TypeError(f"broadcast_object_list changes a list in place, not a {type(data).__name__}")
    if get_world_size(group) > 1:
        torch_dist.broadcast_object_list(data, src, group)


def all_gather_object(data: Any, group: Group | None = None) -> list[Any]:
    """Return the objects of all processes by rank."""
    size = get_world_size(group)
    if size == 1:
        return [data]
    received: list[Any] = [None] * size
    torch_dist.all_gather_object(received, data, group)
    return received


def gather_object(data: Any, dst: int = 0, group: Group | None = None) -> list[Any] | None:
    """Return the objects of all processes by rank on process `dst`, and None elsewhere."""
    size = get_world_size(group)
    if size == 1:
        return [data]
    received: list[Any] | None = [None] * size if torch_dist.get_rank() == dst else None
    torch_dist.gather_object(data, received, dst, group)
    return received


def collect_results(
    results: Sequence[Any], size: int, device: str = "cpu", tmpdir: str | None = None
) -> list[Any] | None:
    """Bring the results of all processes into the order of the data set, on rank 0.

    Process r of R has results r, r + R, r + 2R, ... as the samplers deal them out. What a sampler
    repeated to give all processes equally many is cut off.

    Args:
        results: Those of this process.
        size: How long the data set is.
        device: 'cpu', or 'gpu' to send through the devices.
        tmpdir: With 'cpu', a folder that all processes share, to send through files.

    Returns:
        The first `size` results on rank 0, None elsewhere.
    """
    if device == "gpu":
        return collect_results_gpu(results, size)
    if device == "cpu":
        return collect_results_cpu(results, size, tmpdir)
    raise ValueError(f"results are collected on 'cpu' or 'gpu', not {device!r}")


def collect_results_cpu(result_part: Sequence[Any], size: int, tmpdir: str | None = None) -> list[Any] | None:
    """Collect results without device memory: through files in `tmpdir`, else through a group on the CPU."""
    if get_world_size() == 1:
        return list(result_part[:size])
    parts = _through_files(result_part, tmpdir) if tmpdir else gather_object(list(result_part), group=_on_cpu())
    return _deal_back(parts, size)


def collect_results_gpu(result_part: Sequence[Any], size: int) -> list[Any] | None:
    """Collect results through the default group."""
    return _deal_back(gather_object(list(result_part)), size)


def _deal_back(parts: list[list[Any]] | None, size: int) -> list[Any] | None:
    """Undo the dealing of a data set to processes, whose parts may differ in length."""
    if parts is None:
        return None
    rounds = zip_longest(*parts, fillvalue=_NOTHING)
    return [one for one in chain.from_iterable(rounds) if one is not _NOTHING][:size]


def _through_files(part: Sequence[Any], tmpdir: str) -> list[list[Any]] | None:
    rank, size = get_dist_info()
    os.makedirs(tmpdir, exist_ok=True)
    names = [os.path.join(tmpdir, f"part_{one}.pkl") for one in range(size)]
    with open(names[rank], "wb") as file:
        pickle.dump(list(part), file)
    barrier()
    if rank != 0:
        return None
    parts = []
    for name in names:
        with open(name, "rb") as file:
            parts.append(pickle.load(file))
        os.remove(name)
    return parts


def _on_cpu() -> Group | None:
    """Return a group of all processes that sends from the CPU, made once beside a default group that cannot."""
    global _cpu_group
    default = get_default_group()
    if get_backend() == "gloo":
        return default
    if _cpu_group is None or _cpu_group[0] is not default:
        _cpu_group = (default, torch_dist.new_group(backend="gloo"))
    return _cpu_group[1]

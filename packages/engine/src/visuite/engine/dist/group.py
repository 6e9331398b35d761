"""Who is who: ranks, sizes, groups and devices. Without a process group, rank 0 of 1."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from itertools import repeat
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as torch_dist
from torch import Tensor

Group = Any  # torch_dist.ProcessGroup, which does not exist where torch is built without distribution
P = ParamSpec("P")
R = TypeVar("R")

_local_group: Group | None = None


def is_distributed() -> bool:
    """Tell whether a process group has been initialised."""
    return torch_dist.is_available() and torch_dist.is_initialized()


def get_default_group() -> Group | None:
    """Return the group of all processes, or None without one."""
    return torch_dist.group.WORLD if is_distributed() else None


def get_backend(group: Group | None = None) -> str | None:
    """Return the backend's name ('nccl', 'gloo', ...), or None without a group."""
    return torch_dist.get_backend(group) if is_distributed() else None


def get_rank(group: Group | None = None) -> int:
    """Return the rank of this process, 0 without a group, -1 outside `group`."""
    return torch_dist.get_rank(group) if is_distributed() else 0


def get_world_size(group: Group | None = None) -> int:
    """Return how many processes there are, 1 without a group."""
    return torch_dist.get_world_size(group) if is_distributed() else 1


def get_dist_info(group: Group | None = None) -> tuple[int, int]:
    """Return (rank, world size)."""
    return get_rank(group), get_world_size(group)


def is_main_process(group: Group | None = None) -> bool:
    """Tell whether this is rank 0."""
    return get_rank(group) == 0


def init_local_group(node_rank: int, num_gpus_per_node: int) -> None:
    """Make one group per machine; to be called by every process.

    Args:
        node_rank: Which machine this process runs on.
        num_gpus_per_node: Processes per machine.

    Raises:
        ValueError: the processes do not fill the machines.
    """
    global _local_group
    size = get_world_size()
    if num_gpus_per_node < 1 or size % num_gpus_per_node or not 0 <= node_rank < size // num_gpus_per_node:
        raise ValueError(f"{size} processes are not machines of {num_gpus_per_node}, among them one {node_rank}")
    if not is_distributed():
        return
    # Every process takes part in making every group, also those it does not belong to.
    starts = range(0, size, num_gpus_per_node)
    groups = [torch_dist.new_group(list(range(first, first + num_gpus_per_node))) for first in starts]
    _local_group = groups[node_rank]


def get_local_group() -> Group | None:
    """Return the group that `init_local_group` made, or None."""
    return _local_group if is_distributed() else None


def get_local_rank() -> int:
    """Return the rank among the processes of this machine: of the local group, else as the launcher said."""
    if (group := get_local_group()) is not None:
        return get_rank(group)
    return int(os.environ.get("LOCAL_RANK", get_rank())) if is_distributed() else 0


def get_local_size() -> int:
    """Return how many processes this machine runs: of the local group, else as the launcher said."""
    if (group := get_local_group()) is not None:
        return get_world_size(group)
    return int(os.environ.get("LOCAL_WORLD_SIZE", get_world_size())) if is_distributed() else 1


def barrier(group: Group | None = None) -> None:
    """Wait until every process is here."""
    if is_distributed():
        torch_dist.barrier(group)


def master_only(func: Callable[P, R]) -> Callable[P, R | None]:
    """Let only rank 0 run a function; elsewhere it returns None."""

    @wraps(func)
    def on_rank_zero(*args: P.args, **kwargs: P.kwargs) -> R | None:
        return func(*args, **kwargs) if is_main_process() else None

    return on_rank_zero


# ---------------------------------------------------------------------- devices


def get_comm_device(group: Group | None = None) -> torch.device:
    """Return where tensors have to be for `group` to send them."""
    backend = str(get_backend(group) or "")
    if "nccl" in backend and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    accelerators = {"hccl": "npu", "cncl": "mlu", "mccl": "musa", "xccl": "xpu"}
    return torch.device(accelerators.get(backend, "cpu"))


def get_data_device(data: Tensor | Mapping[Any, Any] | Iterable[Any]) -> torch.device:
    """Return the one device of all tensors in nested containers.

    Raises:
        ValueError: no tensors, or tensors on several devices.
        TypeError: something that is neither tensor nor container.
    """
    devices = {leaf.device for leaf in _tensors_in(data)}
    if not devices:
        raise ValueError("there is no tensor whose device could be told")
    if len(devices) > 1:
        raise ValueError(f"the tensors are on several devices: {', '.join(sorted(map(str, devices)))}")
    return devices.pop()


def _tensors_in(data: Any) -> Iterable[Tensor]:
    if isinstance(data, Tensor):
        yield data
        return
    for value in _members(data):
        yield from _tensors_in(value)


def _members(data: Any) -> Iterable[Any]:
    if isinstance(data, Mapping):
        return data.values()
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return data
    raise TypeError(f"tensors, or dicts and sequences of them, are expected, not {type(data).__name__}")


def cast_data_device(data: Any, device: torch.device, out: Any = None) -> Any:
    """Return nested containers with all tensors on `device`.

    Args:
        data: A tensor, or dicts and sequences of tensors.
        device: Where to.
        out: Containers of the same structure, whose tensors are written instead of new ones made.
    """
    if isinstance(data, Tensor):
        if out is None:
            return data.to(device)
        return out.copy_(data)
    if out is not None and (not isinstance(out, type(data)) or len(out) != len(data)):
        raise ValueError(f"out has another structure than data: {type(out).__name__} and {type(data).__name__}")
    _members(data)
    kind: Any = type(data)
    if isinstance(data, Mapping):
        targets = out if out is not None else dict.fromkeys(data)
        return kind({key: cast_data_device(value, device, targets[key]) for key, value in data.items()})
    moved = [cast_data_device(*pair) for pair in zip(data, repeat(device), out or repeat(None), strict=False)]
    return kind(*moved) if hasattr(data, "_fields") else kind(moved)

"""Send tensors between processes.

Tensors may be on any device: they travel on the one the group needs and come back to their own.
Without a process group every function leaves its tensor alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.distributed as torch_dist
from torch import Tensor

from visuite.engine.dist.group import Group, get_comm_device, get_world_size, is_distributed
from visuite.engine.utils.text import did_you_mean

_OPS = {
    "sum": "SUM",
    "mean": "SUM",
    "product": "PRODUCT",
    "min": "MIN",
    "max": "MAX",
    "band": "BAND",
    "bor": "BOR",
    "bxor": "BXOR",
}


def all_reduce(data: Tensor, op: str = "sum", group: Group | None = None) -> None:
    """Reduce a tensor over all processes, in place.

    Args:
        data: Of the same shape everywhere.
        op: 'sum', 'mean', 'product', 'min', 'max', 'band', 'bor' or 'bxor'.
        group: Which processes; all by default.

    Raises:
        ValueError: an unknown `op`.
        TypeError: the mean of integers, which is no integer.
    """
    _reduce_all([data], op, group)


def all_reduce_dict(data: dict[str, Tensor], op: str = "sum", group: Group | None = None) -> None:
    """Reduce every tensor of a dict over all processes, in place; all processes have the same keys."""
    _reduce_all([data[key] for key in sorted(data)], op, group)


def all_reduce_params(
    params: Iterable[Tensor],
    coalesce: bool = True,
    bucket_size_mb: int = -1,
    op: str = "sum",
    group: Group | None = None,
) -> None:
    """Reduce tensors such as parameters, buffers or gradients over all processes, in place.

    Args:
        params: The same tensors in the same order everywhere.
        coalesce: Send many at once.
        bucket_size_mb: How much at once; all, when not positive.
        op: As in `all_reduce`.
        group: Which processes; all by default.
    """
    tensors = [param.detach() for param in params]
    for bucket in _buckets(tensors, bucket_size_mb) if coalesce else ([tensor] for tensor in tensors):
        _reduce_all(bucket, op, group)


def _buckets(tensors: list[Tensor], size_mb: int) -> Iterator[list[Tensor]]:
    most = size_mb * 2**20 if size_mb > 0 else float("inf")
    bucket: list[Tensor] = []
    held = 0
    for tensor in tensors:
        if bucket and held + tensor.nbytes > most:
            yield bucket
            bucket, held = [], 0
        bucket.append(tensor)
        held += tensor.nbytes
    if bucket:
        yield bucket


def _reduce_all(tensors: list[Tensor], op: str, group: Group | None) -> None:
    """Reduce tensors with one message per data type."""
    if op.lower() not in _OPS:
        raise ValueError(f"op {op!r} is none of {', '.join(_OPS)}{did_you_mean(op, _OPS)}")
    op = op.lower()
    if get_world_size(group) == 1:
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for dtype, same in by_type.items():
        if op == "mean" and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"the mean of {dtype} is no {dtype}: reduce it as float")
        flat = torch.cat([tensor.detach().reshape(-1).to(get_comm_device(group)) for tensor in same])
        torch_dist.all_reduce(flat, getattr(torch_dist.ReduceOp, _OPS[op]), group)
        if op == "mean":
            flat /= get_world_size(group)
        for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
            tensor.detach().copy_(part.view(tensor.shape))


def all_gather(data: Tensor, group: Group | None = None) -> list[Tensor]:
    """Return the tensors of all processes by rank; all have the same shape."""
    if get_world_size(group) == 1:
        return [data]
    sent = _ready(data, group)
    received = [torch.empty_like(sent) for _ in range(get_world_size(group))]
    torch_dist.all_gather(received, sent, group)
    return [one.to(data.device) for one in received]


def gather(data: Tensor, dst: int = 0, group: Group | None = None) -> list[Tensor]:
    """Return the tensors of all processes by rank on process `dst`, and an empty list elsewhere."""
    if get_world_size(group) == 1:
        return [data]
    sent = _ready(data, group)
    here = torch_dist.get_rank() == dst
    received = [torch.empty_like(sent) for _ in range(get_world_size(group))] if here else None
    torch_dist.gather(sent, received, dst, group)
    return [one.to(data.device) for one in received or []]


def broadcast(data: Tensor, src: int = 0, group: Group | None = None) -> None:
    """Give every process the tensor of process `src`, in place."""
    if get_world_size(group) == 1:
        return
    sent = _ready(data, group)
    torch_dist.broadcast(sent, src, group)
    if torch_dist.get_rank() != src:
        data.detach().copy_(sent)


def sync_random_seed(group: Group | None = None) -> int:
    """Return a random seed that is the same in all processes.

    It is drawn from numpy's global generator, in every process, so that generators which were seeded alike stay alike.
    """
    seed = torch.tensor([np.random.randint(2**31)], dtype=torch.int64)
    if is_distributed():
        first = torch_dist.get_global_rank(group, 0) if group is not None else 0
        broadcast(seed, first, group)
    return int(seed)


def _ready(data: Tensor, group: Group | None) -> Tensor:
    """Return a dense copy or view of a tensor where the group can send it."""
    return data.detach().to(get_comm_device(group)).contiguous()

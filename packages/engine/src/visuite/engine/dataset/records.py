"""A long list of records in two flat arrays, one copy of which all loader workers share."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def serialize(records: Iterable[Any]) -> tuple[Tensor, Tensor]:
    """Pickle records one behind the other.

    A Python list of dicts is copied page by page into every worker, for reading an object changes its
    reference count. Two tensors hold no counts, so forked workers share their pages, and spawned ones
    get them through shared memory.

    Returns:
        The bytes (uint8, [total]) and where each record ends in them (int64, [N]).
    """
    buffer = bytearray()
    ends = []
    for record in records:
        buffer += pickle.dumps(record, protocol=pickle.HIGHEST_PROTOCOL)
        ends.append(len(buffer))
    flat = torch.frombuffer(buffer, dtype=torch.uint8) if buffer else torch.zeros(0, dtype=torch.uint8)
    return flat, torch.tensor(ends, dtype=torch.int64)


def read_record(flat: Tensor, ends: Tensor, index: int) -> Any:
    """Return record `index` (not negative); every call makes a new object."""
    start = int(ends[index - 1]) if index else 0
    return pickle.loads(flat[start : int(ends[index])].numpy().data)


def select_records(flat: Tensor, ends: Tensor, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the two arrays of a choice of records, without unpickling any."""
    index = torch.as_tensor(chosen, dtype=torch.int64)
    if not len(index):
        return flat[:0].clone(), ends[:0].clone()
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])[index]
    pieces = [flat[a:b] for a, b in zip(starts.tolist(), ends[index].tolist(), strict=True)]
    return torch.cat(pieces), torch.cumsum(ends[index] - starts, 0)

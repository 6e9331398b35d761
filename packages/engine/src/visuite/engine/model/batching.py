"""Tensors of different sizes in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.fx
from torch import Tensor


def padded_size(sizes: Sequence[int], divisor: int) -> tuple[int, ...]:
    """Round sizes up to multiples of `divisor`."""
    return tuple(-(-size // divisor) * divisor for size in sizes)


def stack_batch(tensor_list: Sequence[Tensor], pad_size_divisor: int = 1, pad_value: float = 0) -> Tensor:
    """Stack tensors [C, ...] of different sizes; all but the first dimension are padded at their ends.

    Args:
        tensor_list: Tensors of equal channels and number of dimensions.
        pad_size_divisor: The padded sizes are multiples of it.
        pad_value: What padding holds.

    Returns:
        [B, C, ...], the least common size rounded up.

    Raises:
        TypeError: not a list of tensors.
        ValueError: no tensors, or their channels or dimensions differ.
    """
    if not isinstance(tensor_list, (list, tuple)) or not all(isinstance(one, Tensor) for one in tensor_list):
        raise TypeError(f"stack_batch takes a list of tensors, not {type(tensor_list).__name__}")
    if not tensor_list:
        raise ValueError("stack_batch needs at least one tensor")
    if len({(one.dim(), one.shape[0]) for one in tensor_list}) > 1:
        shapes = [list(one.shape) for one in tensor_list][:4]
        raise ValueError(f"tensors of one batch need equal channels and dimensions, these have the shapes {shapes}")
    first = tensor_list[0]
    largest = [max(sizes) for sizes in zip(*(one.shape[1:] for one in tensor_list), strict=True)]
    shape = (len(tensor_list), first.shape[0], *padded_size(largest, pad_size_divisor))
    batch = torch.full(shape, pad_value, dtype=first.dtype, device=first.device)
    for row, one in zip(batch, tensor_list, strict=True):
        row[(slice(None), *(slice(size) for size in one.shape[1:]))] = one
    return batch


def merge_dict(*args: Mapping[str, Any]) -> dict[str, Any]:
    """Merge dicts, later ones winning; a leaf to torch.fx, so that losses of several heads can be traced."""
    merged: dict[str, Any] = {}
    for one in args:
        merged |= one
    return merged


torch.fx.wrap("merge_dict")

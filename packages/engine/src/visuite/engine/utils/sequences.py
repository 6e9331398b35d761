"""Lists and tuples: what they hold, turned into others, cut and joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import Any


def is_str(x: Any) -> bool:
    """Tell whether `x` is a string."""
    return isinstance(x, str)


def is_seq_of(seq: Any, expected_type: type | tuple[type, ...], seq_type: type | None = None) -> bool:
    """Tell whether `seq` is a sequence (of type `seq_type`) that holds nothing but `expected_type`."""
    kind: Any = Sequence if seq_type is None else seq_type
    return isinstance(seq, kind) and all(isinstance(one, expected_type) for one in seq)


def is_list_of(seq: Any, expected_type: type | tuple[type, ...]) -> bool:
    """Tell whether `seq` is a list that holds nothing but `expected_type`."""
    return is_seq_of(seq, expected_type, list)


def is_tuple_of(seq: Any, expected_type: type | tuple[type, ...]) -> bool:
    """Tell whether `seq` is a tuple that holds nothing but `expected_type`."""
    return is_seq_of(seq, expected_type, tuple)


def to_ntuple(n: int) -> Callable[[Any], Any]:
    """Return a function that repeats a single value `n` times and leaves several values as they are."""

    def expand(x: Any) -> Any:
        return x if isinstance(x, Iterable) else tuple(repeat(x, n))

    return expand


to_1tuple = to_ntuple(1)
to_2tuple = to_ntuple(2)
to_3tuple = to_ntuple(3)
to_4tuple = to_ntuple(4)


def iter_cast(inputs: Iterable[Any], dst_type: type, return_type: Callable[[Iterator[Any]], Any] | None = None) -> Any:
    """Turn every item into `dst_type`; return an iterator, or what `return_type` makes of it.

    Raises:
        TypeError: nothing to iterate over, or `dst_type` is no type.
    """
    if not isinstance(inputs, Iterable):
        raise TypeError(f"the items of a {type(inputs).__name__} cannot be cast: it has none")
    if not isinstance(dst_type, type):
        raise TypeError(f"dst_type has to be a type, not {dst_type!r}")
    cast = map(dst_type, inputs)
    return cast if return_type is None else return_type(cast)


def list_cast(inputs: Iterable[Any], dst_type: type) -> list[Any]:
    """Turn every item into `dst_type` and return a list."""
    return iter_cast(inputs, dst_type, list)


def tuple_cast(inputs: Iterable[Any], dst_type: type) -> tuple[Any, ...]:
    """Turn every item into `dst_type` and return a tuple."""
    return iter_cast(inputs, dst_type, tuple)


def slice_list(in_list: Sequence[Any], lens: int | Sequence[int]) -> list[Any]:
    """Cut a list into pieces.

    Args:
        in_list: What to cut.
        lens: The length of each piece, or one length for all.

    Raises:
        ValueError: the lengths do not add up to the list's.
    """
    if isinstance(lens, int):
        if lens < 1 or len(in_list) % lens:
            raise ValueError(f"a list of {len(in_list)} cannot be cut into pieces of {lens}")
        lens = [lens] * (len(in_list) // lens)
    bounds = list(accumulate(lens, initial=0))
    if bounds[-1] != len(in_list):
        raise ValueError(f"pieces of {list(lens)} make {bounds[-1]}, but the list has {len(in_list)}")
    return [in_list[start:stop] for start, stop in pairwise(bounds)]


def concat_list(in_list: Iterable[Iterable[Any]]) -> list[Any]:
    """Join lists into one."""
    return list(chain.from_iterable(in_list))


def apply_to(data: Any, expr: Callable[[Any], bool], apply_func: Callable[[Any], Any]) -> Any:
    """Return nested dicts, lists and tuples with `apply_func` applied to what `expr` chooses.

    Args:
        data: The containers; what else they hold is kept.
        expr: Whether to change a value; containers are asked as well.
        apply_func: The change.
    """
    if expr(data):
        return apply_func(data)
    kind: Any = type(data)
    if isinstance(data, Mapping):
        return kind({key: apply_to(value, expr, apply_func) for key, value in data.items()})
    if isinstance(data, (list, tuple)):
        changed = [apply_to(value, expr, apply_func) for value in data]
        return kind(*changed) if hasattr(data, "_fields") else kind(changed)
    return data

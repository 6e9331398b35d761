"""How a list of samples becomes a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import default_collate as stack_leaves

from visuite.engine.registry import FUNCTIONS, UnknownTypeError
from visuite.engine.structures import BaseDataElement


@FUNCTIONS.register_module()
def pseudo_collate(data_batch: Sequence[Any]) -> Any:
    """Turn a list of samples into a sample of lists; tensors, arrays and numbers are neither stacked nor converted.

    Images of different sizes thus reach the data preprocessor, which pads them on the device.

    Raises:
        ValueError: the samples differ in their keys or lengths.

    Example:
        >>> pseudo_collate([{"inputs": 1, "meta": ("a", 2)}, {"inputs": 3, "meta": ("b", 4)}])
        {'inputs': [1, 3], 'meta': [['a', 'b'], [2, 4]]}
    """
    return _turn_inside_out(data_batch, list)


@FUNCTIONS.register_module()
def default_collate(data_batch: Sequence[Any]) -> Any:
    """Turn a list of samples into a sample of batches: tensors, arrays and numbers are stacked into tensors.

    Data elements and strings stay lists.

    Raises:
        ValueError: the samples differ in their keys or lengths.
        RuntimeError: tensors to be stacked differ in shape.
    """
    return _turn_inside_out(data_batch, stack_leaves)


def _turn_inside_out(batch: Sequence[Any], merge: Callable[[list[Any]], Any]) -> Any:
    """Walk down equal structures in parallel and merge what stands at each leaf."""
    first = batch[0]
    kind: Any = type(first)
    if isinstance(first, (str, bytes, BaseDataElement)) or first is None:
        return list(batch)
    if isinstance(first, Mapping):
        return kind({key: _turn_inside_out(_values(batch, key), merge) for key in first})
    if isinstance(first, Sequence):
        columns = [_turn_inside_out(column, merge) for column in _columns(batch)]
        if hasattr(first, "_fields"):
            return kind(*columns)
        return columns if isinstance(first, (list, tuple)) else kind(columns)
    return merge(list(batch))


def _values(batch: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    try:
        return [sample[key] for sample in batch]
    except KeyError:
        position = next(i for i, sample in enumerate(batch) if key not in sample)
        raise ValueError(f"sample {position} of the batch has no {key!r}, the first one has") from None


def _columns(batch: Sequence[Sequence[Any]]) -> list[list[Any]]:
    lengths = sorted({len(sample) for sample in batch})
    if len(lengths) > 1:
        raise ValueError(f"the samples of a batch hold sequences of different lengths: {lengths}")
    return [list(column) for column in zip(*batch, strict=True)]


def find_function(name: Any, what: str) -> Callable[..., Any]:
    """Return the function that a loader's config names, in the default scope or above; a callable is one already.

    Args:
        name: What the config says.
        what: Which of its keys, for the error.

    Raises:
        UnknownTypeError: there is none; says the nearest.
    """
    if callable(name):
        return name
    with FUNCTIONS.switch_scope_and_registry(None) as registry:
        function = registry.get(name)
        if function is None:
            raise UnknownTypeError(f"{what}: {registry.explain_missing(name)}")
    return function

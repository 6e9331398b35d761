"""Per-object annotations and predictions of one image: N boxes, N labels, N masks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from visuite.engine.structures.base_data_element import BaseDataElement


class InstanceData(BaseDataElement):
    """Data fields of one common length N, indexed together.

    A field may be a tensor, an array, a list, a tuple, or anything else with `len` and indexing.
    """

    def __len__(self) -> int:
        for name, value in self.__dict__.items():
            if name != "_metainfo":
                return len(value)
        return 0

    def _admit(self, name: str, value: Any) -> Any:
        try:
            size = len(value)
        except TypeError:
            raise TypeError(f"field {name!r} needs one entry per instance, not a {_kind(value)}") from None
        for other, values in self.__dict__.items():
            if other not in ("_metainfo", name):
                if len(values) != size:
                    raise ValueError(f"field {name!r} has {size} entries, but {other!r} has {len(values)}")
                break
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __getitem__(self, item: Any) -> Any:
        """Return the chosen instances, or the field when `item` is its name.

        Args:
            item: An int, a slice, a list of ints or bools, a 1-D integer or bool tensor or array, or a name.

        Raises:
            IndexError: out of range, a mask of another length, or an index of more than one dimension.
        """
        if isinstance(item, str):
            if item not in self:
                raise KeyError(f"this {type(self).__name__} has no field {item!r}; it has {self.all_keys()}")
            return getattr(self, item)
        if isinstance(item, slice):
            return self._map(lambda value: value[item])
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            return self[self._one(int(item))]
        return self._map(_Picker(self._positions(item)))

    def _one(self, index: int) -> slice:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"there is no instance {index} among {size}")
        return slice(index % size, index % size + 1)

    def _positions(self, item: Any) -> Tensor:
        """Turn any list, array or tensor that chooses instances into a 1-D tensor of their positions."""
        if not isinstance(item, (list, np.ndarray, Tensor)):
            raise TypeError(f"instances are indexed by int, slice, list, tensor, array or name, not {_kind(item)}")
        chosen = torch.as_tensor(item) if len(np.shape(item)) != 1 or len(item) else torch.zeros(0, dtype=torch.long)
        if chosen.dtype not in (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
            raise TypeError(f"instances are indexed by integers or bools, not {chosen.dtype}")
        if chosen.ndim != 1:
            raise IndexError(f"instances have one dimension; an index of shape {tuple(chosen.shape)} has {chosen.ndim}")
        if chosen.dtype != torch.bool:
            return chosen.long()
        if len(chosen) != len(self):
            raise IndexError(f"a mask of {len(chosen)} cannot choose among {len(self)} instances")
        return chosen.nonzero().squeeze(1)  # once, and not again for every field

    @staticmethod
    def cat(instances_list: Sequence[InstanceData]) -> InstanceData:
        """Join elements with the same fields, one after the other; metainfo is that of the first.

        Raises:
            ValueError: nothing to join, or other fields than the first has.
            TypeError: not instances, or a field whose type has no `cat`.
        """
        if not instances_list:
            raise ValueError("there is nothing to cat: the list of instances is empty")
        for one in instances_list:
            if not isinstance(one, InstanceData):
                raise TypeError(f"cat joins InstanceData, not {_kind(one)}")
            if set(one.keys()) != set(instances_list[0].keys()):
                raise ValueError(f"cat needs the same fields in all: {instances_list[0].keys()} and {one.keys()}")
        if len(instances_list) == 1:
            return instances_list[0]
        return instances_list[0]._joined(instances_list)

    def _joined(self, parts: Sequence[InstanceData]) -> Self:
        fields = [part._data() for part in parts]
        return self._with({name: _cat_values(name, [field[name] for field in fields]) for name in fields[0]})


class _Picker:
    """Take given positions of whatever a field is, moving the positions to where the field lives at most once."""

    def __init__(self, positions: Tensor) -> None:
        self.positions = positions
        self._on_host: list[int] | None = None

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[self.positions.to(value.device)]
        if isinstance(value, np.ndarray):
            return value[np.asarray(self._listed(), dtype=np.int64)]
        if isinstance(value, (list, tuple)):
            return type(value)([value[index] for index in self._listed()])
        if isinstance(value, str):
            return "".join(value[index] for index in self._listed())
        return value[self.positions]

    def _listed(self) -> list[int]:
        if self._on_host is None:
            self._on_host = self.positions.tolist()
        return self._on_host


def _cat_values(name: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(values, dim=0)
    if isinstance(first, np.ndarray):
        return np.concatenate(values, axis=0)
    if isinstance(first, str):
        return "".join(values)
    if isinstance(first, (list, tuple)):
        return type(first)(chain.from_iterable(values))
    if hasattr(first, "cat"):
        return first.cat(values)
    raise TypeError(f"field {name!r} cannot be joined: a {_kind(first)} has no cat")


def _kind(value: Any) -> str:
    return type(value).__name__

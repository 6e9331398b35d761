"""The container that carries annotations and predictions from one part of a system to the next."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

_UNCHANGING = (str, bytes, int, float, bool, type(None))
_MISSING: Any = object()


class BaseDataElement:
    """A bag of named fields of two kinds: metainfo (about the image) and data (tensors and the like).

    Both read as attributes. Data fields are written as attributes too, metainfo only through
    `set_metainfo`, so that an image's size is not overwritten by accident. A subclass gives a
    field a type with `typed_field`, or with a property over private storage, whose public name is the field's name:

        @property
        def gt_label(self) -> LabelData:
            return self._gt_label

        @gt_label.setter
        def gt_label(self, value: LabelData) -> None:
            self.set_field(value, "_gt_label", dtype=LabelData)

    Args:
        metainfo: Facts about the image; the values are copied.
        **kwargs: The first data fields.
    """

    # Data fields are plain instance attributes, which Python reads fastest. The metainfo is a dict
    # that is replaced and never changed, so elements made from one another share it.
    _metainfo: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, *, metainfo: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        if metainfo is not None:
            self.set_metainfo(metainfo)
        if kwargs:
            self.set_data(kwargs)

    # ------------------------------------------------------------------ writing

    def set_metainfo(self, metainfo: Mapping[str, Any]) -> None:
        """Add metainfo fields, or replace their values.

        Raises:
            AttributeError: a name that is a data field already.
        """
        _expect_mapping(metainfo, "metainfo")
        for name in metainfo:
            if self._stored_as(name) is not None:
                raise AttributeError(f"{name!r} is a data field of this {type(self).__name__}, not metainfo")
        self.__dict__["_metainfo"] = {**self._metainfo, **{name: _own(value) for name, value in metainfo.items()}}

    def set_data(self, data: Mapping[str, Any]) -> None:
        """Add data fields, or replace their values."""
        _expect_mapping(data, "data")
        for name, value in data.items():
            setattr(self, name, value)

    def set_field(
        self,
        value: Any,
        name: str,
        dtype: type | tuple[type, ...] | None = None,
        field_type: str = "data",
    ) -> None:
        """Set one field; the way for properties of subclasses to check and store theirs.

        Args:
            value: What to keep.
            name: Under which name; a property `x` stores under `_x`.
            dtype: What `value` has to be an instance of.
            field_type: 'data' or 'metainfo'.

        Raises:
            TypeError: `value` is not a `dtype`.
            AttributeError: the name is taken by a field of the other kind.
        """
        if dtype is not None and not isinstance(value, dtype):
            raise TypeError(f"{name.lstrip('_')!r} has to be a {_type_name(dtype)}, not a {_type_name(type(value))}")
        if field_type == "metainfo":
            self.set_metainfo({name: value})
        elif field_type != "data":
            raise ValueError(f"field_type is 'data' or 'metainfo', not {field_type!r}")
        elif name in self._metainfo:
            raise AttributeError(f"{name!r} is metainfo of this {type(self).__name__}: change it with set_metainfo")
        else:
            self.__dict__[name] = self._admit(name, value)

    def _admit(self, name: str, value: Any) -> Any:
        """Return `value` as it may be stored; subclasses check it against their other fields."""
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        owner = getattr(type(self), name, None)
        if owner is None:
            self.set_field(value, name)
        elif hasattr(owner, "__set__"):
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(f"{name!r} cannot be a field: {type(self).__name__} uses that name itself")

    def update(self, instance: BaseDataElement) -> None:
        """Take over all fields of another element."""
        if not isinstance(instance, BaseDataElement):
            raise TypeError(f"update takes a data element, not {type(instance).__name__}")
        self.set_metainfo(instance._metainfo)
        self.set_data(dict(instance.items()))

    # ------------------------------------------------------------------ reading

    def __getattr__(self, name: str) -> Any:  # only asked for what is not a data field
        try:
            return self._metainfo[name]
        except KeyError:
            kind = type(self).__name__
            if name.startswith("__"):  # copy, pickle and the like ask for what need not be there
                raise AttributeError(name) from None
            raise AttributeError(f"this {kind} has no field {name!r}; it has {self.all_keys()}") from None

    def __contains__(self, item: str) -> bool:
        return item in self._metainfo or self._stored_as(item) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field of either kind, or `default`."""
        return getattr(self, key) if key in self else default

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the metainfo."""
        return dict(self._metainfo)

    def metainfo_keys(self) -> list[str]:
        """Return the names of the metainfo."""
        return list(self._metainfo)

    def metainfo_values(self) -> list[Any]:
        """Return the values of the metainfo."""
        return list(self._metainfo.values())

    def metainfo_items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of the metainfo."""
        yield from self._metainfo.items()

    def keys(self) -> list[str]:
        """Return the names of the data fields, in the order they were set."""
        return [self._public(name) for name in self.__dict__ if name != "_metainfo"]

    def values(self) -> list[Any]:
        """Return the values of the data fields."""
        return [value for name, value in self.__dict__.items() if name != "_metainfo"]

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of the data fields."""
        yield from zip(self.keys(), self.values(), strict=True)

    def all_keys(self) -> list[str]:
        """Return the names of all fields, metainfo first."""
        return self.metainfo_keys() + self.keys()

    def all_values(self) -> list[Any]:
        """Return the values of all fields, metainfo first."""
        return self.metainfo_values() + self.values()

    def all_items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of all fields, metainfo first."""
        yield from self.metainfo_items()
        yield from self.items()

    def to_dict(self) -> dict[str, Any]:
        """Return all fields in a dict, elements inside turned into dicts as well."""
        return {
            name: value.to_dict() if isinstance(value, BaseDataElement) else value for name, value in self.all_items()
        }

    def _public(self, name: str) -> str:
        if name[0] == "_" and isinstance(getattr(type(self), name[1:], None), property):
            return name[1:]
        return name

    def _stored_as(self, name: str) -> str | None:
        """Return under which attribute a data field lies, or None where there is no such field."""
        if name in self.__dict__:
            return name if name != "_metainfo" else None
        private = f"_{name}"
        return private if private in self.__dict__ and self._public(private) == name else None

    # ------------------------------------------------------------------ removing

    def __delattr__(self, name: str) -> None:
        deleter = getattr(getattr(type(self), name, None), "fdel", None)
        stored = self._stored_as(name)
        if deleter is not None and stored != name:
            deleter(self)
        elif stored is not None:
            del self.__dict__[stored]
        elif name in self._metainfo:
            self.__dict__["_metainfo"] = {key: value for key, value in self._metainfo.items() if key != name}
        else:
            raise AttributeError(f"this {type(self).__name__} has no field {name!r}; it has {self.all_keys()}")

    __delitem__ = __delattr__

    def pop(self, key: str, default: Any = _MISSING) -> Any:
        """Remove a field of either kind and return its value, or `default`.

        Raises:
            KeyError: no such field, and no `default`.
        """
        if key not in self:
            if default is _MISSING:
                raise KeyError(f"this {type(self).__name__} has no field {key!r}; it has {self.all_keys()}")
            return default
        value = getattr(self, key)
        delattr(self, key)
        return value

    # ------------------------------------------------------------------ making others

    def new(self, *, metainfo: Mapping[str, Any] | None = None, **kwargs: Any) -> Self:
        """Return an element with the same fields; those given here replace *all* fields of their kind."""
        made = self._with({} if kwargs else self._data())
        if metainfo is not None:
            made.__dict__.pop("_metainfo", None)
            made.set_metainfo(metainfo)
        made.set_data(kwargs)
        return made

    def clone(self) -> Self:
        """Return an element of its own that shares the values of the data fields."""
        made = self._with(self._data())
        made.__dict__["_metainfo"] = {name: _own(value) for name, value in self._metainfo.items()}
        return made

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Apply `value.to(...)` to every data field that has it."""
        return self._map(lambda value: value.to(*args, **kwargs) if hasattr(value, "to") else value)

    def cpu(self) -> Self:
        """Return the element with its data on the CPU."""
        return self._map(lambda value: value.cpu() if hasattr(value, "cpu") else value)

    def cuda(self) -> Self:
        """Return the element with its data on the current GPU."""
        return self._map(lambda value: value.cuda() if hasattr(value, "cuda") else value)

    def detach(self) -> Self:
        """Return the element with its tensors cut off the graph."""
        return self._map(lambda value: value.detach() if hasattr(value, "detach") else value)

    def numpy(self) -> Self:
        """Return the element with arrays in place of tensors."""
        return self._map(_as_array)

    def to_tensor(self) -> Self:
        """Return the element with tensors in place of arrays, which share their memory."""
        return self._map(_as_tensor)

    def _data(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_metainfo"}

    def _with(self, data: Mapping[str, Any]) -> Self:
        """Return an element with this metainfo and `data`, which fits together already."""
        made = object.__new__(type(self))
        if "_metainfo" in self.__dict__:
            made.__dict__["_metainfo"] = self._metainfo
        made.__dict__.update(data)
        return made

    def _map(self, change: Callable[[Any], Any]) -> Self:
        return self._with({name: change(value) for name, value in self._data().items()})

    def __repr__(self) -> str:
        lines = [f"{name}: {_brief(value)}" for name, value in self.items()]
        if self._metainfo:
            facts = ", ".join(f"{name}={_brief(value)}" for name, value in self.metainfo_items())
            lines.insert(0, f"metainfo: {facts}")
        body = "".join(f"    {line}\n" for text in lines for line in text.splitlines())
        return f"{type(self).__name__}(\n{body})" if lines else f"{type(self).__name__}()"


def typed_field(name: str, kind: type | tuple[type, ...]) -> Any:
    """Return the property of a data field that holds nothing but one kind of value.

    Args:
        name: The field's name, which is that of the property too.
        kind: What a value has to be an instance of; anything else is a `TypeError`.
    """
    stored = f"_{name}"

    def read(element: BaseDataElement) -> Any:
        return getattr(element, stored)

    def write(element: BaseDataElement, value: Any) -> None:
        element.set_field(value, stored, dtype=kind)

    def remove(element: BaseDataElement) -> None:
        delattr(element, stored)

    return property(read, write, remove)


def _expect_mapping(value: Any, what: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} has to be a dict, not {type(value).__name__}")


def _type_name(kind: type | tuple[type, ...]) -> str:
    return " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))


def _own(value: Any) -> Any:
    """Return a deep copy, without the price of one for what nobody can change."""
    if isinstance(value, _UNCHANGING):
        return value
    if type(value) is tuple and all(isinstance(one, _UNCHANGING) for one in value):
        return value
    return copy.deepcopy(value)


def _as_array(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return value.numpy() if isinstance(value, BaseDataElement) else value


def _as_tensor(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return value.to_tensor() if isinstance(value, BaseDataElement) else value


def _brief(value: Any, most: int = 8) -> str:
    """Return a value's text, or for a large tensor or array its shape, type and place."""
    if not isinstance(value, (Tensor, np.ndarray)) or np.prod(value.shape) <= most:
        return repr(value)
    kind = "tensor" if isinstance(value, Tensor) else "array"
    place = f", {value.device}" if isinstance(value, Tensor) and value.device.type != "cpu" else ""
    return f"{kind} of {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}{place}"

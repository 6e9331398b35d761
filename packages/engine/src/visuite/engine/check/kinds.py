"""Whether a value of a config is of a kind that an argument's annotation allows."""

from __future__ import annotations

import collections.abc
import numbers
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visuite.engine.utils.text import did_you_mean

#: What a config writes as a number, or true and false.
_NUMBERS = (int, float, complex, numbers.Number)
#: Classes of which nothing that a config writes is one: only a config of an object, or an object, will do.
_OBJECTS = (nn.Module, torch.Tensor)
_PLAIN = (bool, int, float, str, list, tuple)
_SHOWN = 50  # characters of a value in a message


def wrong_kind(value: Any, annotation: Any) -> str | None:
    """Return what is wrong with a value where it is certainly not of the annotated kind: `"is 'no', not a bool"`.

    Only plain kinds are judged (numbers, text, lists, dicts, `None`, `Literal`). A list does for a tuple and an int for
    a float, as everywhere in configs; of classes, a dict may always be the config.
    """
    if _fits(value, annotation) or _is_configs(value):
        return None
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    allowed = [str(one) for one in _literals(annotation) if isinstance(one, str)]
    hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
    return f"is {shown}, not {_words(annotation)}{hint}"


def _fits(value: Any, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if hasattr(annotation, "__value__"):  # a `type` statement
        return _fits(value, annotation.__value__)
    if origin is typing.Annotated:
        return _fits(value, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is typing.Literal:
        return value in arguments
    kind = origin or annotation
    if annotation is None or annotation is type(None):
        return value is None
    if not isinstance(kind, type) or kind is object:
        return True  # Any, a type variable, a protocol
    if value is None:
        return not _is_plain(kind)
    return _is_of(value, kind, arguments)


def _is_configs(value: Any) -> bool:
    """Whether a value is a list of configs of objects, which may be built into one (modules become a Sequential)."""
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(v, dict) and "type" in v for v in value)


def _is_plain(kind: type) -> bool:
    return kind in (bool, int, float, str) or issubclass(kind, (collections.abc.Sequence, collections.abc.Mapping))


def _is_of(value: Any, kind: type, arguments: tuple[Any, ...]) -> bool:
    """Whether a value, which is not None, is of a class, as far as that can be told."""
    if kind is bool:
        return isinstance(value, bool) or value in (0, 1) if isinstance(value, _PLAIN) else True
    if issubclass(kind, _NUMBERS):
        whole = kind is not int or not isinstance(value, float) or value.is_integer() or value != value
        return not isinstance(value, (str, list, tuple, dict)) and whole
    if issubclass(kind, str):
        return isinstance(value, (str, Path)) or not isinstance(value, (*_PLAIN, dict))
    if issubclass(kind, collections.abc.Mapping):
        return _is_mapping(value, arguments)
    if _is_series(kind):
        return _is_list(value, kind, arguments)
    if issubclass(kind, _OBJECTS):
        return not isinstance(value, _PLAIN)
    return True


def _is_series(kind: type) -> bool:
    names = ("Sequence", "Collection", "Iterable", "MutableSequence", "Set")
    return issubclass(kind, (list, tuple, set)) or kind in [getattr(collections.abc, name) for name in names]


def _is_mapping(value: Any, arguments: tuple[Any, ...]) -> bool:
    if isinstance(value, _PLAIN):
        return False
    if isinstance(value, Mapping) and len(arguments) == 2:
        return all(_fits(one, arguments[1]) for one in value.values())
    return True


def _is_list(value: Any, kind: type, arguments: tuple[Any, ...]) -> bool:
    if isinstance(value, str):  # a series of its letters
        return kind not in (list, tuple) and (not arguments or _fits(value, arguments[0]))
    if isinstance(value, (bool, int, float)):
        return False
    if isinstance(value, dict):  # its keys, or the config of one
        return kind not in (list, tuple)
    if not isinstance(value, (list, tuple)) or not arguments:
        return True
    if kind is not tuple or arguments[-1] is Ellipsis:
        return all(_fits(one, arguments[0]) for one in value)
    if arguments == ((),):
        return not value
    return len(value) == len(arguments) and all(map(_fits, value, arguments))


def _literals(annotation: Any) -> list[Any]:
    """Return all values that a `Literal` in an annotation allows."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [one for part in typing.get_args(annotation) for one in _literals(part)]


def _words(annotation: Any) -> str:
    """Return an annotation as one writes it, without the modules."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is None or annotation is type(None):
        return "None"
    if annotation is Ellipsis:
        return "..."
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_words, arguments))
    if origin is typing.Literal:
        return " | ".join(map(repr, arguments))
    name = getattr(origin or annotation, "__name__", str(annotation))
    return f"{name}[{', '.join(map(_words, arguments))}]" if arguments and isinstance(arguments, tuple) else name

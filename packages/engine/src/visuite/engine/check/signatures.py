"""Which arguments a class takes, its own and those it passes on to the classes it derives from."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from visuite.engine.utils.text import did_you_mean

_LITERAL_READS = {"get", "pop", "setdefault"}


@dataclass(frozen=True)
class Signature:
    """The arguments that something can be called with.

    Args:
        names: Those with a name, the positional ones first.
        needed: Those without a default.
        anything: Whether arguments of any other name are taken as well.
    """

    names: tuple[str, ...] = ()
    needed: frozenset[str] = frozenset()
    anything: bool = False

    def behind(self, positional: int, given: Collection[str]) -> Signature:
        """Return what is left to a caller where `positional` arguments, and those named, are filled in."""
        taken = {*self.names[:positional], *given}
        return Signature(tuple(n for n in self.names if n not in taken), self.needed - taken, self.anything)


@dataclass(frozen=True)
class Forwarding:
    """What a constructor does with its `**kwargs`, besides passing them to the next one.

    Args:
        reads: Names that it takes from them itself.
        positional: How many arguments it passes on by position.
        given: Names that it passes on with values of its own.
    """

    reads: tuple[str, ...]
    positional: int
    given: frozenset[str]


@functools.cache
def signature_of(target: Callable[..., Any]) -> Signature:
    """Return the arguments of a class or function.

    `**kwargs` that a constructor does nothing with but pass on to `super().__init__` stand for the arguments of the
    next constructor; any other use, or source that cannot be had, is trusted to know what it takes.
    """
    try:
        declared = _declared(inspect.signature(target))
        if declared.anything and inspect.isclass(target):
            return _of_constructors([kind for kind in target.__mro__ if "__init__" in vars(kind)])
        return declared
    except (TypeError, ValueError):  # a built-in that does not tell
        return Signature(anything=True)


def _declared(signature: inspect.Signature) -> Signature:
    kinds = inspect.Parameter
    named = [p for p in signature.parameters.values() if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    return Signature(
        names=tuple(p.name for p in named),
        needed=frozenset(p.name for p in named if p.default is kinds.empty),
        anything=any(p.kind is kinds.VAR_KEYWORD for p in signature.parameters.values()),
    )


def _of_constructors(kinds: list[type]) -> Signature:
    """Return the arguments of the first class's constructor; the others are those that `super()` leads to."""
    kind = kinds[0]
    if kind in (object, nn.Module):  # a Module's declares **kwargs to say itself that it takes none
        return Signature()
    init = vars(kind)["__init__"]
    own = _declared(inspect.signature(init)).behind(1, ())  # self
    if not own.anything:
        return own
    forwarding = _forwarding(init)
    if forwarding is None:
        return own
    beyond = _of_constructors(kinds[1:]).behind(forwarding.positional, forwarding.given)
    names = dict.fromkeys((*own.names, *forwarding.reads, *beyond.names))
    return Signature(tuple(names), own.needed | (beyond.needed - {*forwarding.reads}), beyond.anything)


def _forwarding(init: Callable[..., Any]) -> Forwarding | None:
    """Read in a constructor's source what becomes of its `**kwargs`; None: more than passing them on."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(init))))
    except (OSError, TypeError, SyntaxError):
        return None
    function = tree.body[0]
    if not isinstance(function, ast.FunctionDef) or function.args.kwarg is None:
        return None
    name = function.args.kwarg.arg
    calls = [call for call in _super_calls(function) if _passes(call, name)]
    reads = list(_literal_reads(function, name))
    mentions = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(function))
    if len(calls) != 1 or mentions != len(calls) + len(reads):
        return None
    call = calls[0]
    if any(isinstance(arg, ast.Starred) for arg in call.args):
        return None
    given = frozenset(keyword.arg for keyword in call.keywords if keyword.arg is not None)
    return Forwarding(tuple(reads), len(call.args), given)


def _super_calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            owner = node.func.value
            if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super":
                yield node


def _passes(call: ast.Call, name: str) -> bool:
    return any(
        keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == name
        for keyword in call.keywords
    )


def _literal_reads(function: ast.FunctionDef, name: str) -> Iterator[str]:
    """Yield the names in `kwargs.pop('a')`, `kwargs['a']` and `'a' in kwargs`."""
    for node in ast.walk(function):
        key: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LITERAL_READS:
            owner, key = node.func.value, node.args[0] if node.args else None
        elif isinstance(node, ast.Subscript):
            owner, key = node.value, node.slice
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            owner, key = node.comparators[0], node.left
        of_kwargs = key is not None and isinstance(owner, ast.Name) and owner.id == name
        if of_kwargs and isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def unknown_arguments(target: Callable[..., Any], names: Collection[Any]) -> Mapping[Any, str]:
    """Return what to say about each name that a class or function does not take."""
    signature = signature_of(target)
    if signature.anything:
        return {}
    called = name_of(target)
    return {
        name: f"{called} has no argument {name!r}{did_you_mean(str(name), signature.names)}"
        for name in names
        if name not in signature.names
    }


def name_of(target: Callable[..., Any]) -> str:
    """Return what a class or function is called in messages."""
    return getattr(target, "__qualname__", repr(target))

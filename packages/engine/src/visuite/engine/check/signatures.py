"""Which arguments a class takes, its own and those it passes on to the classes it derives from."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from torch import nn

from visuite.engine.registry import Registry
from visuite.engine.utils.text import did_you_mean

_LITERAL_READS = {"get", "pop", "setdefault"}


@dataclass(frozen=True)
class Rest:
    """Where arguments go that a class only hands on to a part of its own: to whatever another argument names.

    Args:
        by: The argument that names the part's `type`.
        default: What it names by default.
        given: Arguments of the part that the class itself fills in.
        registry: Where the type is looked up; None: the class does not say.
    """

    by: str
    default: Any
    given: frozenset[str] = frozenset()
    registry: Registry | None = None


@dataclass(frozen=True)
class Signature:
    """The arguments that something can be called with.

    Args:
        names: Those with a name, the positional ones first.
        needed: Those without a default.
        anything: Whether arguments of any other name are taken as well.
        rest: What arguments of any other name are for, where that is known.
        kinds: The annotations, as far as there are any.
    """

    names: tuple[str, ...] = ()
    needed: frozenset[str] = frozenset()
    anything: bool = False
    rest: Rest | None = None
    kinds: Mapping[str, Any] = field(default_factory=dict)

    def behind(self, positional: int, given: Collection[str]) -> Signature:
        """Return what is left to a caller where `positional` arguments, and those named, are filled in."""
        taken = {*self.names[:positional], *given}
        return replace(self, names=tuple(n for n in self.names if n not in taken), needed=self.needed - taken)


@dataclass(frozen=True)
class Forwarding:
    """What a constructor does with its `**kwargs`.

    Args:
        reads: Names that it takes from them itself.
        target: What it calls with them; None: `super().__init__`.
        positional: How many arguments it passes on by position.
        given: Names that it passes on with values of its own.
        defaults: Those of them that `**kwargs` may replace.
        rest: Instead of a call: the part that they are the config of.
    """

    reads: tuple[str, ...]
    target: Callable[..., Any] | None = None
    positional: int = 0
    given: frozenset[str] = frozenset()
    defaults: frozenset[str] = frozenset()
    rest: Rest | None = None


@functools.cache
def signature_of(target: Callable[..., Any]) -> Signature:
    """Return the arguments of a class or function.

    `**kwargs` that a constructor does nothing with but pass on, to `super().__init__` or to another class, stand for
    the arguments of what it calls; any other use, or source that cannot be had, is trusted to know what it takes.
    """
    try:
        if inspect.isclass(target):
            kinds = [kind for kind in target.__mro__ if "__init__" in vars(kind)]
            if kinds[0] is not object and not _made_otherwise(target):
                return _of_constructors(kinds)
        return _declared(inspect.signature(target), target)
    except (TypeError, ValueError):  # a built-in that does not tell
        return Signature(anything=True)


def _made_otherwise(kind: type) -> bool:
    """Whether `__new__` or a metaclass decides what a class is called with."""
    return (
        "__signature__" in vars(kind) or kind.__new__ is not object.__new__ or type(kind).__call__ is not type.__call__
    )


def _declared(signature: inspect.Signature, target: Callable[..., Any]) -> Signature:
    kinds = inspect.Parameter
    named = [p for p in signature.parameters.values() if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    return Signature(
        names=tuple(p.name for p in named),
        needed=frozenset(p.name for p in named if p.default is kinds.empty),
        anything=any(p.kind is kinds.VAR_KEYWORD for p in signature.parameters.values()),
        kinds={p.name: _kind(p, _names_of(target)) for p in named if p.annotation is not kinds.empty},
    )


def _kind(parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    """Return what an argument's annotation allows; `x: int = None` means that None is allowed too."""
    kind = parameter.annotation
    try:
        kind = eval(kind, names) if isinstance(kind, str) else kind  # an annotation that its module has put off
        return kind | None if parameter.default is None else kind
    except Exception:  # names that exist for type checkers only
        return Any


def _names_of(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the names that the annotations of a function or class are written in."""
    function = inspect.unwrap(target)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return dict(getattr(function, "__globals__", None) or vars(module or typing))


def _of_constructors(kinds: list[type]) -> Signature:
    """Return the arguments of the first class's constructor; the others are those that `super()` leads to."""
    kind = kinds[0]
    if kind in (object, nn.Module):  # a Module's declares **kwargs to say itself that it takes none
        return Signature()
    init = vars(kind)["__init__"]
    signature = inspect.signature(init)
    own = _declared(signature, init).behind(1, ())  # self
    if not own.anything:
        return own
    forwarding = _forwarding(init, signature)
    if forwarding is None:
        return own
    names = dict.fromkeys((*own.names, *forwarding.reads))
    if forwarding.rest is not None:
        return replace(own, names=tuple(names), rest=forwarding.rest)
    called = _of_constructors(kinds[1:]) if forwarding.target is None else signature_of(forwarding.target)
    beyond = called.behind(forwarding.positional, forwarding.given - forwarding.defaults)
    names |= dict.fromkeys(beyond.names)
    needed = own.needed | (beyond.needed - {*forwarding.reads} - forwarding.given)
    return replace(beyond, names=tuple(names), needed=needed, kinds={**beyond.kinds, **own.kinds})


def _forwarding(init: Callable[..., Any], signature: inspect.Signature) -> Forwarding | None:
    """Read in a constructor's source what becomes of its `**kwargs`; None: more than passing them on once."""
    init = inspect.unwrap(init)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return None
    function = tree.body[0]
    if not isinstance(function, ast.FunctionDef) or function.args.kwarg is None:
        return None
    name = function.args.kwarg.arg
    reads = tuple(_literal_reads(function, name))
    mentions = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(function))
    if mentions != 1 + len(reads):
        return None
    source = _Source(init, name, function.args.vararg.arg if function.args.vararg else None)
    for node in ast.walk(function):
        rest = source.rest(node, signature)
        if rest is not None:
            return Forwarding(reads, rest=rest)
        found = source.call(node) if isinstance(node, ast.Call) else None
        if found is not None:
            return replace(found, reads=reads)
    return None


@dataclass(frozen=True)
class _Source:
    """A constructor's code, searched for the place where its `**kwargs` go.

    Args:
        init: The constructor.
        name: What it calls its `**kwargs`.
        more: What it calls its `*args`, which a config never gives.
    """

    init: Callable[..., Any]
    name: str
    more: str | None

    def call(self, call: ast.Call) -> Forwarding | None:
        """Return what a call does with the `**kwargs`, if they are spread in it and it is known what is called."""
        spread = next((k.value for k in call.keywords if k.arg is None and self._spreads(k.value)), None)
        positional = [one for one in call.args if not self._is_more(one)]
        if spread is None or any(isinstance(one, ast.Starred) for one in positional):
            return None
        owner = call.func.value if isinstance(call.func, ast.Attribute) and call.func.attr == "__init__" else None
        if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super":
            target = None
        else:
            target = self._object(call.func)
            if not inspect.isclass(target) or target is dict:
                return None
        given = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        before, after = self._beside(spread)
        return Forwarding((), target, len(positional), frozenset(given | before | after), frozenset(before))

    def rest(self, node: ast.AST, signature: inspect.Signature) -> Rest | None:
        """Return whose config is made of the `**kwargs`: `{"type": kind, **kwargs}` or `dict(kwargs, type=kind)`."""
        registry = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "build":
            registry = self._object(node.func.value)
            node = node.args[0] if node.args else node
        if isinstance(node, ast.Dict) and self._spreads(node):
            items = {key.value: value for key, value in zip(node.keys, node.values, strict=True) if _is_text(key)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            if not any(self._spreads(one) for one in (*node.args, *(k.value for k in node.keywords if k.arg is None))):
                return None
            items = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
        else:
            return None
        kind = items.get("type")
        if not isinstance(kind, ast.Name) or kind.id not in signature.parameters:
            return None
        default = signature.parameters[kind.id].default
        known = registry if isinstance(registry, Registry) else None
        return Rest(kind.id, default, frozenset(map(str, items)) - {"type"}, known)

    def _is_more(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Starred) and isinstance(node.value, ast.Name) and node.value.id == self.more

    def _spreads(self, node: ast.expr) -> bool:
        """Whether an expression is the `**kwargs`, or a dict that has all of them."""
        if isinstance(node, ast.Dict):
            return any(key is None and self._spreads(one) for key, one in zip(node.keys, node.values, strict=True))
        return isinstance(node, ast.Name) and node.id == self.name

    @staticmethod
    def _beside(spread: ast.expr) -> tuple[set[str], set[str]]:
        """Return the keys that stand before the `**kwargs` in a dict, which they may replace, and those behind."""
        before: set[str] = set()
        after: set[str] = set()
        seen = False
        for key in spread.keys if isinstance(spread, ast.Dict) else ():
            if key is None:
                seen = True
            elif isinstance(key, ast.Constant):
                (after if seen else before).add(str(key.value))
        return before, after

    def _object(self, node: ast.expr) -> Any:
        """Return what a name, or an attribute of one, stands for in the constructor's module."""
        if isinstance(node, ast.Attribute):
            return getattr(self._object(node.value), node.attr, None)
        return getattr(self.init, "__globals__", {}).get(node.id) if isinstance(node, ast.Name) else None


def _is_text(node: ast.expr | None) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


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


def unknown_arguments(
    target: Callable[..., Any], names: Collection[Any], *, besides: Collection[str] = (), rest: Signature | None = None
) -> Mapping[Any, str]:
    """Return what to say about each name that a class or function does not take.

    Args:
        target: The class or function.
        names: What it is given.
        besides: Names that somebody else takes out before, which may have been meant.
        rest: The arguments of the part that it hands the others on to.
    """
    signature = signature_of(target)
    known = {*signature.names, *(rest.names if rest is not None else ())}
    if signature.anything and (rest is None or rest.anything):
        return {}
    called = name_of(target)
    return {
        name: f"{called} has no argument {name!r}{did_you_mean(str(name), {*known, *besides})}"
        for name in names
        if name not in known
    }


def name_of(target: Callable[..., Any]) -> str:
    """Return what a class or function is called in messages."""
    return getattr(target, "__qualname__", repr(target))

"""What an evaluated config may call: plain builtins, methods of plain values, pure functions of three modules."""

from __future__ import annotations

import _string
import math
import os.path as osp
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from visuite.engine.config.configdict import ConfigDict, MarkedDict, clone
from visuite.engine.config.lazy import LazyObject
from visuite.engine.config.limits import MAX_WIDTH, Budget, LimitError
from visuite.engine.config.operators import add, multiply, power
from visuite.engine.utils.text import did_you_mean


class Refused(Exception):
    """Something that configs, being data, may not do."""


@dataclass(frozen=True)
class Function:
    """A function that configs may call, as `run(budget, *args, **kwargs)`."""

    name: str
    run: Callable[..., Any] = field(repr=False)
    kind: type | None = None  # what `isinstance` makes of it

    def __call__(self, budget: Budget, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return budget.result(self.run(budget, *args, **kwargs))


@dataclass(frozen=True)
class Module:
    """The part of a standard module that configs may use."""

    name: str
    members: dict[str, Any] = field(repr=False)

    def member(self, name: str) -> Any:
        """Return a member.

        Raises:
            Refused: it is not one of those that configs may use.
        """
        if name not in self.members:
            hint = ENVIRONMENT_HINT if name in ("environ", "getenv") else did_you_mean(name, self.members)
            raise Refused(f"{self.name}.{name} is not among the pure functions that a config may use{hint}")
        return self.members[name]


ENVIRONMENT_HINT = "; an environment variable is written '{{$NAME:default}}'"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ------------------------------------------------------------------ functions


def _shallow(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function that looks at the outer level of its arguments be called."""

    def run(budget: Budget, *args: Any, **kwargs: Any) -> Any:
        for arg in args:
            if hasattr(arg, "__len__"):
                budget.spend(len(arg))
        return function(*args, **kwargs)

    return run


def _deep(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function that walks its arguments (hashes, compares or prints them) be called."""

    def run(budget: Budget, *args: Any, **kwargs: Any) -> Any:
        for arg in (*args, *kwargs.values()):
            budget.weigh(arg)
        return function(*args, **{name: _callable(value, budget) for name, value in kwargs.items()})

    return run


def _callable(value: Any, budget: Budget) -> Any:
    """Make a `key=len` fit for Python's own functions."""
    return (lambda *args: value(budget, list(args), {})) if isinstance(value, Function) else value


def _range(budget: Budget, *args: int) -> range:
    made = range(*args)
    first, last = (made[0], made[-1]) if made else (0, 0)
    budget.bits(max(abs(first), abs(last)).bit_length())
    budget.items(max(0, (made.stop - made.start) // made.step))
    return made


def _sum(budget: Budget, items: Iterable[Any], start: Any = 0) -> Any:
    total = start
    for item in items:
        budget.spend()
        total = add(budget, total, item)
    return total


def _prod(budget: Budget, items: Iterable[Any], *, start: Any = 1) -> Any:
    total = start
    for item in items:
        budget.spend()
        total = multiply(budget, total, item)
    return total


def _isinstance(budget: Budget, value: Any, kinds: Any) -> bool:
    asked = kinds if isinstance(kinds, tuple) else (kinds,)
    wanted = tuple(kind.kind for kind in asked if isinstance(kind, Function) and kind.kind is not None)
    if len(wanted) < len(asked):
        raise Refused("isinstance asks for a type such as int, str, list or dict")
    return isinstance(value, wanted)


def _round(value: Any, ndigits: int | None = None) -> Any:
    if ndigits is not None and abs(ndigits) > MAX_WIDTH:
        raise LimitError(f"round to {ndigits} digits")
    return round(value, ndigits)


def _joined_path(budget: Budget, *parts: str) -> str:
    budget.text(sum(map(len, parts)))
    return osp.join(*parts)


def _copied(budget: Budget, value: Any) -> Any:
    """Copy the outer level, in the kind that it is."""
    if isinstance(value, ConfigDict):
        return value.copy()
    if isinstance(value, MarkedDict):
        return _like(value, value)
    budget.spend(len(value) if hasattr(value, "__len__") else 1)
    return value.copy() if isinstance(value, (list, set)) else value


def _like(old: MarkedDict, items: Any) -> MarkedDict:
    new = MarkedDict(items)
    new.mark_like(old)
    return new


def deep_copied(budget: Budget, value: Any) -> Any:
    """Copy a value all through; dicts stay of the kind that they are."""
    budget.weigh(value)
    if isinstance(value, ConfigDict):
        return clone(value)
    if isinstance(value, MarkedDict):
        return _like(value, {key: deep_copied(budget, item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)([deep_copied(budget, item) for item in value])
    return set(value) if isinstance(value, set) else value


def _dict(budget: Budget, *args: Any, **kwargs: Any) -> MarkedDict:
    if args and not isinstance(args[0], dict):
        budget.weigh(args[0])
        budget.keys([pair[0] for pair in args[0]], args[0])
    made = MarkedDict(*args, **kwargs)
    if args:
        made.mark_like(args[0])
    return made


def _set(budget: Budget, items: Any = ()) -> set[Any]:
    budget.weigh(items)
    budget.keys(items, items)
    return set(items)


def _listed(function: Callable[..., Iterable[Any]]) -> Callable[..., list[Any]]:
    return lambda *args, **kwargs: list(function(*args, **kwargs))


BUILTINS: dict[str, Any] = {
    **{kind.__name__: Function(kind.__name__, _deep(kind), kind) for kind in (int, float, str, bool)},
    **{kind.__name__: Function(kind.__name__, _shallow(kind), kind) for kind in (list, tuple)},
    **{f.__name__: Function(f.__name__, _deep(f)) for f in (min, max, sorted, any, all, repr, ord, chr, divmod)},
    **{f.__name__: Function(f.__name__, _shallow(_listed(f))) for f in (enumerate, zip, reversed)},
    **{f.__name__: Function(f.__name__, _shallow(f)) for f in (len, abs)},
    "dict": Function("dict", _dict, dict),
    "set": Function("set", _set, set),
    "range": Function("range", _range, range),
    "round": Function("round", _shallow(_round)),
    "sum": Function("sum", _sum),
    "pow": Function("pow", lambda budget, base, exponent: power(budget, base, exponent)),
    "isinstance": Function("isinstance", _isinstance),
}

_MATH = _words(
    "acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh degrees exp expm1 fabs floor fmod fsum gcd hypot "
    "isclose isfinite isinf isnan log log10 log1p log2 modf pow radians remainder sin sinh sqrt tan tanh trunc"
)
_PATH = _words("basename commonpath commonprefix dirname isabs join normcase normpath split splitext")

OS_PATH = Module(
    "os.path",
    {
        **{name: Function(name, _shallow(getattr(osp, name))) for name in _PATH},
        "join": Function("join", _joined_path),
        "sep": osp.sep,
    },
)
MODULES: dict[str, Module] = {
    "math": Module(
        "math",
        {
            **{name: Function(name, _shallow(getattr(math, name))) for name in _MATH},
            **{name: getattr(math, name) for name in ("pi", "e", "tau", "inf", "nan")},
            "prod": Function("prod", _prod),
        },
    ),
    "copy": Module("copy", {"copy": Function("copy", _copied), "deepcopy": Function("deepcopy", deep_copied)}),
    "os.path": OS_PATH,
    "os": Module("os", {"path": OS_PATH, "sep": osp.sep}),
}


# ------------------------------------------------------------------ methods

_DICT_METHODS = _words("clear copy get items keys pop popitem setdefault update values")
_TEXT_METHODS = _words(
    "capitalize casefold center count endswith find format index isalnum isalpha isdecimal isdigit isidentifier "
    "islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace "
    "rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill"
)
_SET_METHODS = _words(
    "add clear copy difference discard intersection isdisjoint issubset issuperset pop remove symmetric_difference "
    "union update"
)
METHODS: dict[type, frozenset[str]] = {
    str: _TEXT_METHODS,
    list: _words("append clear copy count extend index insert pop remove reverse sort"),
    tuple: _words("count index"),
    dict: _DICT_METHODS,
    ConfigDict: _DICT_METHODS | {"merge", "to_dict"},
    set: _SET_METHODS,
    int: _words("bit_length"),
    float: _words("is_integer"),
}
#: Methods that compare the items of the value that they belong to.
_WALKING = {"count", "index", "remove", "sort"}


def methods_of(value: Any) -> frozenset[str]:
    """Return the names of the methods that a config may call on a value."""
    if isinstance(value, LazyObject):
        return frozenset()
    for kind in type(value).__mro__:
        if kind in METHODS:
            return METHODS[kind]
    return frozenset()


def call_method(budget: Budget, value: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call a method of a plain value.

    Raises:
        Refused: configs may not call this method.
        LimitError: it would make or walk too much.
    """
    allowed = methods_of(value)
    if name not in allowed:
        kind = "dict" if isinstance(value, dict) else type(value).__name__
        raise Refused(f"a config may not call {name!r} of a {kind}{did_you_mean(name, allowed)}")
    for arg in (*args, *kwargs.values()):
        budget.weigh(arg)
    if isinstance(value, str):
        return _text_method(budget, value, name, args, kwargs)
    if name in _WALKING and not isinstance(value, dict):
        budget.weigh(value)
    elif name in ("copy", "items", "keys", "values", "insert", "reverse", "pop"):
        budget.spend(len(value))
    if isinstance(value, (dict, set)):
        _pay_for_keys(budget, value, name, args)
    if isinstance(value, MarkedDict) and name == "copy":
        return _copied(budget, value)
    kwargs = {key: _callable(item, budget) for key, item in kwargs.items()}
    made = getattr(value, name)(*args, **kwargs)
    if isinstance(value, (list, dict, set)):
        budget.holds(len(value))
    return budget.result(list(made) if name in ("items", "keys", "values") else made)


def _pay_for_keys(budget: Budget, value: dict[Any, Any] | set[Any], method: str, args: list[Any]) -> None:
    """Pay for what a dict's or set's method looks up: its argument, or the items of its arguments."""
    if method in ("add", "discard", "remove", "get", "pop", "setdefault"):
        budget.keys(args[:1], value)
        return
    if isinstance(value, set):
        budget.keys(value, value)
    for arg in args:
        budget.keys(arg if hasattr(arg, "__len__") else [], value)


def _text_method(budget: Budget, text: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if name == "format":
        return format_text(budget, text, args, kwargs)
    budget.spend(len(text) >> 3)
    if name in ("center", "ljust", "rjust", "zfill") and args and isinstance(args[0], int):
        budget.text(args[0])
    elif name == "replace" and len(args) > 1 and isinstance(args[1], str):
        budget.text(len(text) + text.count(args[0]) * len(args[1]))
    elif name == "join" and args:
        args = [list(args[0]), *args[1:]]
        budget.text(sum(len(text) + len(item) for item in args[0] if isinstance(item, str)))
    return budget.result(getattr(text, name)(*args, **kwargs))


# ------------------------------------------------------------------ formatting


_CONVERSIONS: dict[str, Callable[[object], str]] = {"r": repr, "s": str, "a": ascii}


def format_value(budget: Budget, value: Any, conversion: str | None, spec: str) -> str:
    """Format one value as an f-string does.

    Raises:
        LimitError: a width or precision is huge.
    """
    budget.weigh(value)
    if any(len(number) > 4 or int(number) > MAX_WIDTH for number in re.findall(r"\d+", spec)):
        raise LimitError(f"a width or precision above {MAX_WIDTH} in {spec[:20]!r}")
    if isinstance(value, (Function, Module)):
        raise Refused(f"{value.name} cannot be written as text")
    if conversion:
        value = _CONVERSIONS[conversion](value)
    return budget.result(format(value, spec))


def format_text(
    budget: Budget,
    template: str,
    args: list[Any],
    kwargs: dict[str, Any],
    *,
    positions: Iterator[int] | None = None,
    depth: int = 0,
) -> str:
    """Do what `str.format` does, fields being plain names, positions and `[items]`, never attributes.

    Args:
        positions: What `{}` takes next; fields inside a format specification count on.
        depth: How many specifications this one stands in.
    """
    if depth > 2:
        raise Refused("a format specification is nested too deep")
    positions = count() if positions is None else positions
    parts: list[str] = []
    for literal, name, spec, conversion in _string.formatter_parser(template):
        parts.append(literal)
        if name is None:
            continue
        if not name or name[0] in "[.":
            name = f"{next(positions)}{name}"
        value = _field(name, args, kwargs)
        if spec and "{" in spec:
            spec = format_text(budget, spec, args, kwargs, positions=positions, depth=depth + 1)
        parts.append(format_value(budget, value, conversion, spec or ""))
    budget.text(sum(map(len, parts)))
    return "".join(parts)


def _field(name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    first, rest = _string.formatter_field_name_split(name)
    value = args[first] if isinstance(first, int) else kwargs[first]
    for is_attribute, key in rest:
        if is_attribute:
            raise Refused(f"a format field may not read the attribute {key!r}")
        if not isinstance(value, (dict, list, tuple, str)):
            raise Refused(f"a format field may not look into a {type(value).__name__}")
        value = value[key]
    return value


_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(\*|\d*)(?:\.(\*|\d*))?")


def percent_format(budget: Budget, template: str | bytes, value: Any) -> Any:
    """Do what `template % value` does, with widths in the template itself.

    Raises:
        LimitError: a width or precision is huge.
    """
    if isinstance(template, bytes):
        raise Refused("bytes are not formatted in a config")
    budget.weigh(value)
    longest = 0
    for numbers in _PERCENT.findall(template.replace("%%", "")):
        for number in filter(None, numbers):
            if number == "*" or len(number) > 4 or int(number) > MAX_WIDTH:
                raise LimitError(f"a width or precision above {MAX_WIDTH} in a % format")
            longest += int(number)
    budget.text(len(template) + longest)
    return budget.result(template % value)

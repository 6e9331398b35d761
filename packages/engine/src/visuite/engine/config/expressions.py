"""Expressions of Python configs: what stands right of the `=`, and what it is bound to."""

from __future__ import annotations

import ast
import builtins
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from visuite.engine.config.configdict import ConfigDict, MarkedDict
from visuite.engine.config.errors import ConfigError, Location
from visuite.engine.config.lazy import LazyObject
from visuite.engine.config.limits import MAX_NESTING, Budget, LimitError
from visuite.engine.config.operators import add, checked, compare, multiply, power, shift_left
from visuite.engine.config.templates import MissingVariableError, Templates
from visuite.engine.config.values import (
    BUILTINS,
    Function,
    Module,
    Refused,
    call_method,
    format_value,
    percent_format,
)
from visuite.engine.utils.text import did_you_mean

BASE_KEY = "_base_"
TRUST_HINT = "; configs are data, only trusted=True (--trust-config) runs one as Python"

_BINARY: dict[type[ast.operator], Callable[[Budget, Any, Any], Any]] = {
    ast.Add: add,
    ast.Mult: multiply,
    ast.Pow: power,
    ast.LShift: shift_left,
    ast.Sub: checked(operator.sub),
    ast.Div: checked(operator.truediv),
    ast.FloorDiv: checked(operator.floordiv),
    ast.RShift: checked(operator.rshift),
    ast.BitAnd: checked(operator.and_),
    ast.BitOr: checked(operator.or_),
    ast.BitXor: checked(operator.xor),
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
#: What the statements and expressions that configs may not have are called in messages.
_WORDS = {
    "FunctionDef": "def",
    "AsyncFunctionDef": "async def",
    "ClassDef": "class",
    "NamedExpr": "an assignment expression (:=)",
}


class Globals:
    """Stands for `globals()`, which a printed config uses to set keys that are no Python names."""


_GLOBALS = Function("globals", lambda budget: Globals())
#: Python's own names that configs may not use; said so, instead of "not defined".
_REFUSED_NAMES = frozenset(dir(builtins)) - frozenset(BUILTINS)


class Expressions:
    """Evaluates the expressions of one file, and binds what they give to names.

    Args:
        filename: What messages and marks call the file.
        templates: Fills in `{{...}}`.
        budget: What the load may still spend.
        base: The merged bases, `_base_` in the file.
    """

    def __init__(self, filename: str, *, templates: Templates, budget: Budget, base: ConfigDict | None = None) -> None:
        self.names = MarkedDict()
        self.imported: set[str] = set()
        self._file = filename
        self._line = 1
        self._depth = 0
        self._templates = templates
        self._budget = budget
        self._base = base
        self._expressions: dict[type[ast.AST], Callable[[Any], Any]] = {
            kind: getattr(self, f"_of_{kind.__name__.lower()}")
            for kind in (
                *(ast.Constant, ast.Name, ast.Call, ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Attribute),
                *(ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
                *(ast.JoinedStr, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
            )
        }

    def value_of(self, node: ast.expr) -> Any:
        """Evaluate one expression.

        Raises:
            ConfigError: it does something that data does not do, or it is faulty.
        """
        with self._errors():
            return self._value(node)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn whatever goes wrong inside into a ConfigError at the current line."""
        try:
            yield
        except ConfigError:
            raise
        except Refused as error:
            raise self._error(f"{error}{'' if ';' in str(error) else TRUST_HINT}") from None
        except (LimitError, MissingVariableError) as error:
            raise self._error(str(error)) from None
        except (RecursionError, MemoryError):
            raise self._error(f"nested deeper than {MAX_NESTING}") from None
        except Exception as error:
            raise self._error(f"{type(error).__name__}: {str(error)[:300]}") from error

    def _error(self, message: str) -> ConfigError:
        return ConfigError(message, self._here())

    def _here(self) -> Location:
        return Location(self._file, self._line)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise LimitError(f"nested deeper than {MAX_NESTING}")

    def _unknown(self, node: ast.AST) -> ConfigError:
        name = type(node).__name__
        word = _WORDS.get(name, name.lower())
        return self._error(f"a config has no {word}{TRUST_HINT}")

    # ------------------------------------------------------------------ binding

    def _bind(self, target: ast.expr, value: Any) -> None:
        self._budget.spend()
        if isinstance(target, ast.Name):
            self._bind_name(target.id, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target.elts, value)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            container, key = self._slot(target)
            if isinstance(key, slice):
                self._budget.items(len(container) + len(value))
            if isinstance(container, ConfigDict):
                self._budget.weigh(value)  # it is copied into the config
            container[key] = value
            if isinstance(container, MarkedDict):
                container.mark(key, self._here())
        else:
            raise self._unknown(target)

    def _bind_name(self, name: str, value: Any) -> None:
        if name == BASE_KEY:
            raise self._error("_base_ is set once, at the top level of the file")
        self.names[name] = value
        self.names.mark(name, self._here())
        self.imported.discard(name)

    def _unpack(self, targets: list[ast.expr], value: Any) -> None:
        items = list(self._iterate(value))
        starred = [i for i, target in enumerate(targets) if isinstance(target, ast.Starred)]
        if starred:
            first, after = starred[0], len(targets) - starred[0] - 1
            stop = len(items) - after
            if stop >= first:
                items[first:stop] = [items[first:stop]]
        if len(items) != len(targets):
            raise self._error(f"{len(items)} values cannot be unpacked into {len(targets)} names")
        for target, item in zip(targets, items, strict=True):
            self._bind(target.value if isinstance(target, ast.Starred) else target, item)

    def _slot(self, target: ast.Attribute | ast.Subscript) -> tuple[Any, Any]:
        """Return the container and key that a target names."""
        container = self._value(target.value)
        if isinstance(target, ast.Attribute):
            if not isinstance(container, ConfigDict) or target.attr.startswith("__"):
                raise self._no_attribute(container, target.attr)
            return container, target.attr
        if isinstance(container, Globals):
            return self.names, self._value(target.slice)
        if not isinstance(container, (list, dict)):
            raise self._error(f"the items of a {type(container).__name__} cannot be set")
        key = self._value(target.slice)
        self._budget.key(key, container)
        return container, key

    # ------------------------------------------------------------------ expressions

    def _value(self, node: ast.expr) -> Any:
        self._budget.spend()
        self._enter()
        action = self._expressions.get(type(node))
        if action is None:
            raise self._unknown(node)
        value = action(node)
        self._depth -= 1
        return value

    def _of_constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, str):
            self._budget.text(len(node.value))
            return self._templates.fill(node.value, self._base) if "{{" in node.value else node.value
        return node.value

    def _of_name(self, node: ast.Name) -> Any:
        name = node.id
        if name in self.names:
            return self.names[name]
        if name == BASE_KEY and self._base is not None:
            return self._base
        if name in BUILTINS:
            return BUILTINS[name]
        if name in ("__file__", "__name__"):  # a block for `__name__ == "__main__"` is passed over
            return self._file if name == "__file__" else "<config>"
        self._line = node.lineno
        if name in _REFUSED_NAMES or name.startswith("__"):
            raise Refused(f"a config may not use {name!r}")
        raise self._error(f"the name {name!r} is not defined{did_you_mean(name, [*self.names, *BUILTINS])}")

    def _of_list(self, node: ast.List) -> list[Any]:
        return self._items(node.elts)

    def _of_tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self._items(node.elts))

    def _of_set(self, node: ast.Set) -> Any:
        if len(node.elts) == 1 and isinstance(node.elts[0], ast.Set) and len(node.elts[0].elts) == 1:
            return self._template(node.elts[0].elts[0])
        items = self._items(node.elts)
        self._budget.keys(items, items)
        return set(items)

    def _template(self, node: ast.expr) -> Any:
        """Return what `{{...}}` outside of quotes stands for."""
        if isinstance(node, ast.Name) and self._templates.fact(node.id) is not None:
            return self._templates.fact(node.id)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip().startswith("$"):
            return self._templates.typed_variable(node.value)
        return self._value(node)

    def _items(self, nodes: list[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                items.extend(self._iterate(self._value(node.value)))
                self._budget.holds(len(items))
            else:
                items.append(self._value(node))
        return items

    def _iterate(self, value: Any) -> Iterator[Any]:
        """Yield the items of a container, each paid for."""
        if not isinstance(value, (str, list, tuple, dict, set, range, bytes)):
            raise self._error(f"{type(value).__name__} has no items to go through")
        for item in value:
            self._budget.spend()
            yield item

    def _of_dict(self, node: ast.Dict) -> MarkedDict:
        made = MarkedDict()
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self._value(value_node)
            if key_node is None:
                self._merge_keywords(made, value)
                continue
            key = self._value(key_node)
            self._budget.key(key, made)
            made[key] = value
            made.mark(key, Location(self._file, key_node.lineno))
        return made

    def _merge_keywords(self, made: MarkedDict, value: Any) -> None:
        if not isinstance(value, dict):
            raise self._error(f"** needs a dict, not {type(value).__name__}")
        self._budget.items(len(value))
        made.update(value)
        made.mark_like(value, self._here())

    def _of_call(self, node: ast.Call) -> Any:
        function, method = self._callee(node.func)
        args = self._items(node.args)
        kwargs = MarkedDict()
        for keyword in node.keywords:
            value = self._value(keyword.value)
            if keyword.arg is None:
                self._merge_keywords(kwargs, value)
            else:
                kwargs[keyword.arg] = value
                kwargs.mark(keyword.arg, Location(self._file, keyword.lineno))
        self._line = node.lineno
        if method is not None:
            return self._call_method(function, method, args, kwargs)
        if function is BUILTINS["dict"]:
            if not args:
                return kwargs
            made = function(self._budget, args, {})
            made.update(kwargs)
            made.mark_like(kwargs)
            return made
        if not isinstance(function, Function):
            raise Refused(f"a config calls only plain functions, not {ast.unparse(node.func)[:60]}")
        return function(self._budget, args, kwargs)

    def _callee(self, node: ast.expr) -> tuple[Any, str | None]:
        """Return the function that a call names, or a value and the name of its method."""
        if isinstance(node, ast.Name) and node.id == "globals" and node.id not in self.names:
            return _GLOBALS, None
        if not isinstance(node, ast.Attribute):
            return self._value(node), None
        value = self._value(node.value)
        if isinstance(value, Module):
            self._line = node.lineno
            return value.member(node.attr), None
        return value, node.attr

    def _call_method(self, value: Any, name: str, args: list[Any], kwargs: MarkedDict) -> Any:
        if name.startswith("_") or isinstance(value, (Function, LazyObject)):
            raise self._no_attribute(value, name)
        made = call_method(self._budget, value, name, args, kwargs)
        if isinstance(value, MarkedDict) and name in ("update", "merge", "setdefault"):
            self._mark_changes(value, name, args, kwargs)
        return made

    def _mark_changes(self, value: MarkedDict, method: str, args: list[Any], kwargs: MarkedDict) -> None:
        """Note where a method that sets keys has set them."""
        if method == "setdefault":
            if args and value.mark_of(args[0]) is None:
                value.mark(args[0], self._here())
            return
        for source in (*args, kwargs):
            value.mark_like(source, self._here())

    def _of_attribute(self, node: ast.Attribute) -> Any:
        value = self._value(node.value)
        self._line = node.lineno
        if isinstance(value, Module):
            return value.member(node.attr)
        if isinstance(value, LazyObject):
            if node.attr.startswith("__"):
                raise self._no_attribute(value, node.attr)
            return LazyObject(f"{value.dotted_path}.{node.attr}")
        if isinstance(value, ConfigDict) and not node.attr.startswith("__"):
            if node.attr in value:
                return value[node.attr]
            names = [key for key in value if isinstance(key, str)]
            raise self._error(f"{ast.unparse(node)[:80]}: no such key{did_you_mean(node.attr, names)}")
        raise self._no_attribute(value, node.attr)

    def _no_attribute(self, value: Any, name: str) -> ConfigError:
        kind = "dict" if isinstance(value, dict) else type(value).__name__.lower()
        if isinstance(value, dict) and not name.startswith("_"):
            return self._error(f"a dict has no attribute {name!r} in a config; write [{name!r}]")
        return self._error(f"a config may not use the attribute {name!r} of a {kind}{TRUST_HINT}")

    def _of_subscript(self, node: ast.Subscript) -> Any:
        value = self._value(node.value)
        key = self._value(node.slice)
        self._line = node.lineno
        if isinstance(value, LazyObject) or not isinstance(value, (str, bytes, list, tuple, dict, range)):
            raise Refused(f"a {type(value).__name__.lower()} has no items in a config")
        self._budget.key(key, value if isinstance(value, dict) else ())
        if isinstance(value, dict) and isinstance(key, str) and key not in value:
            names = [name for name in value if isinstance(name, str)]
            raise self._error(f"{ast.unparse(node)[:80]}: no such key{did_you_mean(key, names)}")
        found = value[key]
        return self._budget.result(found) if isinstance(key, slice) else found

    def _of_slice(self, node: ast.Slice) -> slice:
        parts = [None if part is None else self._value(part) for part in (node.lower, node.upper, node.step)]
        return slice(*parts)

    def _of_binop(self, node: ast.BinOp) -> Any:
        chain = [node]  # a long sum is one level deep, not one per term
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
        value = self._value(chain[-1].left)
        for part in reversed(chain):
            right = self._value(part.right)
            self._line = part.lineno
            self._budget.spend()
            value = self._operate(type(part.op), value, right)
        return value

    def _operate(self, kind: type[ast.operator], left: Any, right: Any) -> Any:
        if kind is ast.Mod:
            if isinstance(left, (str, bytes)):
                return percent_format(self._budget, left, right)
            return self._budget.result(left % right)
        if kind not in _BINARY:
            raise Refused("a config has no operator @")
        return _BINARY[kind](self._budget, left, right)

    def _of_unaryop(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self._value(node.operand))

    def _of_boolop(self, node: ast.BoolOp) -> Any:
        stop_at = isinstance(node.op, ast.Or)
        value = None
        for part in node.values:
            value = self._value(part)
            if bool(value) is stop_at:
                break
        return value

    def _of_compare(self, node: ast.Compare) -> Any:
        left = self._value(node.left)
        result = True
        for kind, right_node in zip(node.ops, node.comparators, strict=True):
            right = self._value(right_node)
            result = compare(self._budget, _COMPARE[type(kind)], left, right)
            if not result:
                break
            left = right
        return result

    def _of_ifexp(self, node: ast.IfExp) -> Any:
        return self._value(node.body if self._value(node.test) else node.orelse)

    def _of_joinedstr(self, node: ast.JoinedStr) -> str:
        parts = [self._piece(part) for part in node.values]
        self._budget.text(sum(map(len, parts)))
        return "".join(parts)

    def _piece(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return self._templates.fill_in_fstring(str(node.value), self._base)
        if not isinstance(node, ast.FormattedValue):
            raise self._unknown(node)
        value = self._value(node.value)
        spec = "" if node.format_spec is None else str(self._value(node.format_spec))
        return format_value(self._budget, value, chr(node.conversion) if node.conversion > 0 else None, spec)

    # ------------------------------------------------------------------ comprehensions

    def _of_listcomp(self, node: ast.ListComp) -> list[Any]:
        made: list[Any] = []
        self._comprehend(node.generators, lambda: made.append(self._value(node.elt)))
        return made

    def _of_generatorexp(self, node: ast.GeneratorExp) -> list[Any]:
        return self._of_listcomp(ast.ListComp(node.elt, node.generators))

    def _of_setcomp(self, node: ast.SetComp) -> set[Any]:
        made: set[Any] = set()

        def put() -> None:
            item = self._value(node.elt)
            self._budget.key(item, made)
            made.add(item)

        self._comprehend(node.generators, put)
        return made

    def _of_dictcomp(self, node: ast.DictComp) -> MarkedDict:
        made = MarkedDict()

        def put() -> None:
            key = self._value(node.key)
            self._budget.key(key, made)
            made[key] = self._value(node.value)
            made.mark(key, Location(self._file, node.key.lineno))

        self._comprehend(node.generators, put)
        return made

    def _comprehend(self, generators: list[ast.comprehension], put: Callable[[], None]) -> None:
        """Run a comprehension's loops; its names do not outlive it."""
        bound = {n.id for g in generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        outer = {name: (self.names[name], self.names.mark_of(name)) for name in bound if name in self.names}
        imported = self.imported & bound
        made = 0

        def put_counted() -> None:
            nonlocal made
            made += 1
            self._budget.holds(made)
            put()

        try:
            self._generate(generators, put_counted)
        finally:
            for name in bound:
                self.names.pop(name, None)
                self.names.mark(name, None)
            for name, (value, mark) in outer.items():
                self.names[name] = value
                self.names.mark(name, mark)
            self.imported |= imported

    def _generate(self, generators: list[ast.comprehension], put: Callable[[], None]) -> None:
        if not generators:
            put()
            return
        first, *rest = generators
        if first.is_async:
            raise self._error(f"a config has no async comprehension{TRUST_HINT}")
        for item in self._iterate(self._value(first.iter)):
            self._bind(first.target, item)
            if all(self._value(condition) for condition in first.ifs):
                self._generate(rest, put)

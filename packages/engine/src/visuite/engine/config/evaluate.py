"""Configs are data: the evaluator of Python config files.

It walks the syntax tree of a file and knows literals, displays, comprehensions, operators, f-strings,
`for`, `if`, assignment, `del`, and calls of what `values` lists. Nothing of Python's own name space is
within reach, no code object is made, and everything is paid from a `Budget`. What it does not know is
a `ConfigError` with file and line.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from visuite.engine.config.configdict import ConfigDict, MarkedDict
from visuite.engine.config.errors import ConfigError, Location
from visuite.engine.config.expressions import BASE_KEY, TRUST_HINT, Expressions, Globals
from visuite.engine.config.lazy import LazyObject, is_read_base, is_standard_module
from visuite.engine.config.limits import Budget, LimitError
from visuite.engine.config.templates import Templates
from visuite.engine.config.values import MODULES, Function, Module, Refused

#: Reads what an import inside `read_base()` names: the values, and the lazy references imported beside them.
BaseReader = Callable[[ast.ImportFrom, Location], tuple[MarkedDict, dict[str, Any]]]

#: Augmented assignments that change the container itself.
_IN_PLACE = {(ast.Add, list): "extend", (ast.BitOr, dict): "update"}


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Evaluator(Expressions):
    """Evaluates one config file.

    Args:
        filename: What messages and marks call the file.
        templates: Fills in `{{...}}`.
        budget: What the load may still spend.
        base: The merged bases, `_base_` in the file.
        read_base: Reads the bases of a new-style file; None in an old-style one.
    """

    def __init__(
        self,
        filename: str,
        *,
        templates: Templates,
        budget: Budget,
        base: ConfigDict | None = None,
        read_base: BaseReader | None = None,
    ) -> None:
        super().__init__(filename, templates=templates, budget=budget, base=base)
        self._read_base = read_base
        self._statements: dict[type[ast.AST], Callable[[Any], None]] = {
            kind: getattr(self, f"_do_{kind.__name__.lower()}")
            for kind in (
                *(ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.For, ast.If, ast.With),
                *(ast.Import, ast.ImportFrom, ast.Pass, ast.Break, ast.Continue),
            )
        }

    def run(self, tree: ast.Module) -> MarkedDict:
        """Evaluate a file and return what it defines, imports and dunder names left out.

        Raises:
            ConfigError: the file does something that data does not do, or it is faulty.
        """
        with self._errors():
            try:
                self._block(tree.body)
            except (_Break, _Continue):
                raise self._error("break or continue outside of a loop") from None
        values = MarkedDict()
        for name, value in self.names.items():
            if name in self.imported or (isinstance(name, str) and name.startswith("__")):
                continue
            if not isinstance(value, (Function, Module)):
                mark = self.names.mark_of(name)
                self._check_plain(value, str(name), mark)
                values[name] = value
                values.mark(name, mark)
        return values

    def _check_plain(self, value: Any, path: str, mark: Location | None, depth: int = 0) -> None:
        """Refuse values that hold something else than data, such as a function."""
        try:
            self._budget.spend()
            Budget.nests(depth)
        except LimitError as error:
            raise ConfigError(str(error), mark) from None
        if isinstance(value, dict):
            for key, item in value.items():
                inner = (value.mark_of(key) if isinstance(value, MarkedDict) else None) or mark
                self._check_plain(item, f"{path}.{key}", inner, depth + 1)
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                self._check_plain(item, f"{path}.{index}", mark, depth + 1)
        elif isinstance(value, (Function, Module, Globals, slice)):
            raise ConfigError(f"{path} is no plain value{TRUST_HINT}", mark)

    # ------------------------------------------------------------------ statements

    def _block(self, body: list[ast.stmt]) -> None:
        self._enter()
        for node in body:
            self._line = node.lineno
            self._budget.spend()
            action = self._statements.get(type(node))
            if action is None:
                raise self._unknown(node)
            action(node)
        self._depth -= 1

    def _do_expr(self, node: ast.Expr) -> None:
        self._value(node.value)

    def _do_pass(self, node: ast.Pass) -> None:
        pass

    def _do_break(self, node: ast.Break) -> None:
        raise _Break

    def _do_continue(self, node: ast.Continue) -> None:
        raise _Continue

    def _do_assign(self, node: ast.Assign) -> None:
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name) and node.targets[0].id == BASE_KEY:
            return  # read before the file is evaluated
        value = self._value(node.value)
        for target in node.targets:
            self._line = target.lineno
            self._bind(target, value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, self._value(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        old = self._load_target(node.target)
        value = self._value(node.value)
        in_place = _IN_PLACE.get((type(node.op), list if isinstance(old, list) else dict))
        if in_place and isinstance(old, (list, dict)):
            self._call_method(old, in_place, [value], MarkedDict())
            value = old
        else:
            value = self._operate(type(node.op), old, value)
        self._bind(node.target, value)

    def _load_target(self, target: ast.expr) -> Any:
        if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
            return self._value(target)
        raise self._unknown(target)

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._of_name(target)
                self.names.pop(target.id, None)
            elif isinstance(target, (ast.Attribute, ast.Subscript)):
                container, key = self._slot(target)
                self._budget.spend(len(container))
                del container[key]
            else:
                raise self._unknown(target)

    def _do_if(self, node: ast.If) -> None:
        self._block(node.body if self._value(node.test) else node.orelse)

    def _do_for(self, node: ast.For) -> None:
        depth = self._depth
        for item in self._iterate(self._value(node.iter)):
            self._bind(node.target, item)
            try:
                self._block(node.body)
            except _Break:
                self._depth = depth
                return
            except _Continue:
                self._depth = depth
        self._block(node.orelse)

    def _do_with(self, node: ast.With) -> None:
        if not is_read_base(node):
            raise self._unknown(node)
        if self._read_base is None:
            raise self._error("read_base() in a file that is loaded as an old-style config (lazy_import=False)")
        for statement in node.body:
            self._line = statement.lineno
            if isinstance(statement, ast.Pass):
                continue
            if not isinstance(statement, ast.ImportFrom):
                raise self._error("inside read_base() stand only imports of configs: `from .base import *`")
            found, references = self._read_base(statement, self._here())
            for name, reference in references.items():
                self._import(name, reference)
            self.names.update(found)
            self.names.mark_like(found)
            self.imported -= set(found)

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.name
            bound = alias.asname or name.split(".")[0]
            shown = name if alias.asname else bound
            if shown in MODULES and name in MODULES:
                self._import(bound, MODULES[shown])
            else:
                self._import(bound, self._reference(name, shown))

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            if node.level:
                raise self._error("other configs are imported inside `with read_base():`")
            if alias.name == "*":
                raise self._error("only configs are imported with *, inside `with read_base():`")
            if module in MODULES:
                self._import(alias.asname or alias.name, MODULES[module].member(alias.name))
            elif alias.name != "read_base":
                self._import(alias.asname or alias.name, self._reference(module, f"{module}.{alias.name}"))

    def _reference(self, module: str, path: str) -> LazyObject:
        """Return the lazy reference that an import in a new-style file stands for."""
        if self._read_base is None or is_standard_module(module):
            raise Refused(f"a config does not import {module!r}")
        return LazyObject(path)

    def _import(self, name: str, value: Any) -> None:
        self._bind_name(name, value)
        self.imported.add(name)

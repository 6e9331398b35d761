"""Running a config as Python, for those who trust its author (`trusted=True`)."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from visuite.engine.config.configdict import ConfigDict, MarkedDict
from visuite.engine.config.errors import ConfigError, Location
from visuite.engine.config.lazy import is_read_base
from visuite.engine.config.templates import Templates

_BASE = "_base_"
_READ = "__read_base__"


def run_trusted(
    tree: ast.Module,
    filename: str,
    templates: Templates,
    base: ConfigDict | None,
    read_base: Callable[[ast.ImportFrom, Location], tuple[MarkedDict, dict[str, Any]]],
) -> MarkedDict:
    """Execute a config file and return what it defines; functions, classes and modules are left out.

    Raises:
        ConfigError: the file raised an exception, with the line that did.
    """
    rewriter = _Rewriter(templates, base)
    code = compile(ast.fix_missing_locations(rewriter.visit(tree)), filename, "exec")
    names: dict[str, Any] = {"__file__": filename, "__name__": "<config>"}
    if base is not None:
        names[_BASE] = base

    def read(index: int) -> None:
        statement = rewriter.imports[index]
        found, references = read_base(statement, Location(filename, statement.lineno))
        names.update(references)
        names.update(found)

    names[_READ] = read
    names["__template__"] = templates.typed_variable
    try:
        exec(code, names)
    except ConfigError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
        location = Location(filename, (lines and lines[0]) or 1)
        raise ConfigError(f"{type(error).__name__}: {error}", location) from error
    hidden = (ModuleType, FunctionType, BuiltinFunctionType, type)
    made = MarkedDict(
        {k: v for k, v in names.items() if not k.startswith("__") and k != _BASE and not isinstance(v, hidden)}
    )
    _mark_literals(tree, made, filename)
    return made


class _Rewriter(ast.NodeTransformer):
    """Turns what only configs know into Python: `_base_ = ...`, `{{...}}` and `with read_base():`."""

    def __init__(self, templates: Templates, base: ConfigDict | None) -> None:
        self.imports: list[ast.ImportFrom] = []
        self._templates = templates
        self._base = base

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if any(isinstance(target, ast.Name) and target.id == _BASE for target in node.targets):
            return None
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, str) or "{{" not in node.value:
            return node
        value = self._templates.fill(node.value, self._base)
        if isinstance(value, str):
            return ast.copy_location(ast.Constant(value), node)
        path = node.value.strip("{} ").split(".")[1:]
        source: ast.expr = ast.Name(_BASE, ast.Load())
        for key in path:
            source = ast.Subscript(source, ast.Constant(int(key) if key.isdecimal() else key), ast.Load())
        return ast.copy_location(source, node)

    def visit_Set(self, node: ast.Set) -> ast.AST:
        inner = node.elts[0] if len(node.elts) == 1 else None
        if not isinstance(inner, ast.Set) or len(inner.elts) != 1:
            return self.generic_visit(node)
        template = inner.elts[0]
        if isinstance(template, ast.Name) and self._templates.fact(template.id) is not None:
            return ast.copy_location(ast.Constant(self._templates.fact(template.id)), node)
        if isinstance(template, ast.Constant) and str(template.value).strip().startswith("$"):
            return ast.copy_location(ast.Call(ast.Name("__template__", ast.Load()), [template], []), node)
        return self.visit(template)

    def visit_With(self, node: ast.With) -> Any:
        if not is_read_base(node):
            return self.generic_visit(node)
        calls = []
        for statement in node.body:
            if isinstance(statement, ast.ImportFrom):
                call = ast.Call(ast.Name(_READ, ast.Load()), [ast.Constant(len(self.imports))], [])
                calls.append(ast.copy_location(ast.Expr(call), statement))
                self.imports.append(statement)
        return calls


def _mark_literals(tree: ast.Module, values: MarkedDict, filename: str) -> None:
    """Find the lines that set values by what the source looks like; code that ran keeps none."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id in values:
                    values.mark(target.id, Location(filename, node.lineno))
                    values[target.id] = _marked(node.value, values[target.id], filename)


def _marked(node: ast.expr, value: Any, filename: str) -> Any:
    if isinstance(value, ConfigDict) or type(value) not in (dict, list):
        return value
    if isinstance(value, list):
        nodes = node.elts if isinstance(node, ast.List) and len(node.elts) == len(value) else []
        for index, inner in enumerate(nodes):
            value[index] = _marked(inner, value[index], filename)
        return value
    sources = _item_nodes(node)
    made = MarkedDict(value)
    for key in value:
        if key in sources:
            made.mark(key, Location(filename, sources[key].lineno))
            made[key] = _marked(sources[key], value[key], filename)
    return made


def _item_nodes(node: ast.expr) -> dict[Any, ast.expr]:
    """Return the value nodes of a dict display or `dict(...)` call by key."""
    if isinstance(node, ast.Dict):
        return {k.value: v for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    return {}

"""New-style configs: what they import stays a reference until something is built."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from visuite.engine.config.imports import import_object


class LazyObject(str):
    """The dotted path of what a new-style config imports; nothing is imported before `build`.

    It is a string, so it prints, pickles, compares and saves as `'mmdet.models.RetinaNet'`, and a
    registry takes it wherever it takes a name.
    """

    __slots__ = ()

    @property
    def dotted_path(self) -> str:
        """The path as plain text."""
        return str.__str__(self)

    def __str__(self) -> str:
        return str.__str__(self)

    def __getnewargs__(self) -> tuple[str]:
        return (str.__str__(self),)

    def build(self) -> Any:
        """Import and return the object.

        Raises:
            ImportError: no module or attribute of that path.
        """
        return import_object(self.dotted_path)


@contextmanager
def read_base() -> Iterator[None]:
    """Mark the imports in its block as those of other configs; does nothing else."""
    yield


def is_read_base(node: ast.AST) -> bool:
    """Tell whether a statement is `with read_base():`."""
    if not isinstance(node, ast.With) or len(node.items) != 1:
        return False
    call = node.items[0].context_expr
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "read_base"
        and not call.args
        and not call.keywords
    )


def is_standard_module(name: str) -> bool:
    """Tell whether a module belongs to Python itself."""
    return name.split(".")[0] in sys.stdlib_module_names


def is_new_style(tree: ast.Module) -> bool:
    """Tell whether a config is of the new style: reads bases by `read_base()`, or imports packages.

    A file with `_base_` is of the old style whatever it imports.
    """
    imports = False
    for node in tree.body:
        if is_read_base(node):
            return True
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "_base_" for t in node.targets):
            return False
        if isinstance(node, ast.Import):
            imports |= any(not is_standard_module(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imports |= not node.level and not is_standard_module(node.module or "")
    return imports

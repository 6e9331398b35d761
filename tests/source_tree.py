"""Reads the packages' sources without importing them, for the tests that look at the whole tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("engine", "cv", "cls", "det", "seg", "yolo")


@dataclass(frozen=True)
class Import:
    """One imported module or name.

    Attributes:
        names: What may be a module, longest first: `from a.b import c` gives ("a.b.c", "a.b").
        line: Line in the file.
        inside_function: Whether it runs on a call and not when the module is loaded.
        for_types: Whether only type checkers see it.
    """

    names: tuple[str, ...]
    line: int
    inside_function: bool
    for_types: bool

    @property
    def top(self) -> str:
        """The distribution's own top-level name, `visuite.<package>` for ours."""
        parts = self.names[0].split(".")
        return ".".join(parts[: 2 if parts[0] == "visuite" else 1])


@dataclass(frozen=True)
class Module:
    """One source file of a package."""

    path: Path
    name: str
    package: str

    @property
    def imports(self) -> list[Import]:
        """All its absolute imports."""
        return list(_walk(parse(self.path), inside_function=False, for_types=False))


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules(package: str) -> list[Module]:
    """All source files of a package."""
    source = ROOT / "packages" / package / "src"
    return [Module(path, _module_name(path.relative_to(source)), package) for path in sorted(source.rglob("*.py"))]


def all_modules() -> list[Module]:
    """All source files of all packages."""
    return [module for package in PACKAGES for module in modules(package)]


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _walk(node: ast.AST, inside_function: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import((alias.name,), child.lineno, inside_function, for_types)
        elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
            for alias in child.names:
                yield Import((f"{child.module}.{alias.name}", child.module), child.lineno, inside_function, for_types)
        else:
            function = inside_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            types = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
            yield from _walk(child, function, types)

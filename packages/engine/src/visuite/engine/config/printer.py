"""Configs as text that loads back equal."""

from __future__ import annotations

import json
import keyword
import math
import re
import unicodedata
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType
from typing import Any

from visuite.engine.config.errors import ConfigError
from visuite.engine.config.lazy import LazyObject
from visuite.engine.config.templates import holds_template

WIDTH = 100
#: Names that a printed value may use; a key of this name is printed last, and its value without them.
_USED = ("float", "set", "range", "dict", "globals")
_INDENT = "    "


def pretty_python(values: dict[Any, Any], *, wrap_lines: bool = True, sort_keys: bool = False) -> str:
    """Return a config as the Python file that gives it.

    Args:
        wrap_lines: Whether long values are laid out over several lines.
        sort_keys: Whether keys are sorted instead of standing in their order.
    """
    printer = _Printer(wrap_lines=wrap_lines, sort_keys=sort_keys)
    late = [name for name in _USED if name in values]
    lines = [printer.assignment(key, value) for key, value in printer.items(values) if key not in late]
    bare = _Printer(wrap_lines=wrap_lines, sort_keys=sort_keys, bare=True)
    lines += [bare.assignment(name, values[name]) for name in late]
    return "\n".join(lines) + ("\n" if lines else "")


class _Printer:
    """Lays out values as Python source.

    Args:
        bare: Use no names (`dict`, `float`) in values, only displays and literals.
    """

    def __init__(self, *, wrap_lines: bool, sort_keys: bool, bare: bool = False) -> None:
        self._wrap_lines = wrap_lines
        self._sort_keys = sort_keys
        self._bare = bare

    def items(self, values: dict[Any, Any]) -> list[tuple[Any, Any]]:
        return sorted(values.items(), key=lambda item: str(item[0])) if self._sort_keys else list(values.items())

    def assignment(self, key: Any, value: Any) -> str:
        name = key if _is_name(key) else f"globals()[{self.line(key)}]"
        return f"{name} = {self.layout(value, len(name) + 3, 0)}"

    def layout(self, value: Any, used: int, level: int) -> str:
        """Return a value as text: on one line where it fits after `used` characters, else one item a line."""
        line = self.line(value)
        parts = self._parts(value)
        if parts is None or not self._wrap_lines or used + len(line) <= WIDTH:
            return line
        opening, items, closing = parts
        inner = _INDENT * (level + 1)
        rows = [
            f"{inner}{prefix}{self.layout(item, len(inner) + len(prefix) + 1, level + 1)},\n" for prefix, item in items
        ]
        return f"{opening}\n{''.join(rows)}{_INDENT * level}{closing}"

    def line(self, value: Any) -> str:
        """Return a value on one line."""
        parts = self._parts(value)
        if parts is None:
            return self._leaf(value)
        opening, items, closing = parts
        comma = "," if opening == "(" and len(items) == 1 else ""
        return f"{opening}{', '.join(prefix + self.line(item) for prefix, item in items)}{comma}{closing}"

    def _parts(self, value: Any) -> tuple[str, list[tuple[str, Any]], str] | None:
        """Return a container's opening, its items with what stands before each, and its closing."""
        if isinstance(value, dict):
            items = self.items(value)
            if not self._bare and all(_is_name(key) for key in value):
                return "dict(", [(f"{key}=", item) for key, item in items], ")"
            return "{", [(f"{self.line(key)}: ", item) for key, item in items], "}"
        if isinstance(value, tuple):
            return "(", [("", item) for item in value], ")"
        if isinstance(value, list):
            return "[", [("", item) for item in value], "]"
        if isinstance(value, (set, frozenset)) and value:
            return "{", [("", item) for item in sorted(value, key=lambda item: (str(type(item)), repr(item)))], "}"
        return None

    def _leaf(self, value: Any) -> str:
        if isinstance(value, (set, frozenset)):
            return "{*()}" if self._bare else "set()"
        if isinstance(value, float) and not math.isfinite(value):
            return self._not_finite(float(value))
        plain = plain_leaf(value)
        if isinstance(plain, str) and holds_template(plain):  # a sum is not read as a template
            return " + ".join(map(repr, re.split(r"(?<=\{)(?=\{)", plain)))
        return repr(plain)

    def _not_finite(self, value: float) -> str:
        if self._bare:
            return "(1e999 - 1e999)" if math.isnan(value) else ("1e999" if value > 0 else "-1e999")
        return f"float('{value}')"


def _is_name(key: Any) -> bool:
    """Tell whether a key can stand as a name in Python, which reads names in their NFKC form."""
    if not isinstance(key, str) or not key.isidentifier() or keyword.iskeyword(key):
        return False
    return key.isascii() or unicodedata.normalize("NFKC", key) == key


def plain_leaf(value: Any) -> Any:
    """Return what stands for a leaf in a file: itself, or the text that names it."""
    if isinstance(value, LazyObject):
        return value.dotted_path
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, range, type(...))):
        return _base_type(value)
    if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, PurePath):
        return str(value)
    item = getattr(value, "item", None)  # a NumPy or torch number
    if callable(item) and getattr(value, "shape", None) == ():
        return item()
    return str(value)


def _base_type(value: Any) -> Any:
    """Return a number or string of a subclass (`IntEnum`, NumPy's float) as the built-in type."""
    kinds: tuple[Any, ...] = (bool, int, float, complex, str, bytes)
    for kind in kinds:
        if isinstance(value, kind):
            return value if type(value) is kind else kind(value)
    return value


def as_json(values: dict[Any, Any]) -> str:
    """Return a config as JSON; tuples and sets become lists, keys text."""
    text = json.dumps(_jsonable(values), ensure_ascii=False, indent=2)
    return text.replace("{{", "{\\u007b") + "\n"


def as_yaml(values: dict[Any, Any]) -> str:
    """Return a config as YAML; tuples and sets become lists."""
    import yaml  # heavy, and most configs are Python

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = '"' if "{{" in value or "\x85" in value or _looks_like_number(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    written = yaml.dump(_jsonable(values), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    return str(written).replace("{{", "{\\x7b")


def _looks_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_json_key(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [_jsonable(item) for item in sorted(value, key=lambda item: (str(type(item)), repr(item)))]
    leaf = plain_leaf(value)
    if isinstance(leaf, range):
        return list(leaf)
    return leaf if leaf is None or isinstance(leaf, (bool, int, float, str)) else str(leaf)


def _json_key(key: Any) -> Any:
    leaf = plain_leaf(key)
    return leaf if leaf is None or isinstance(leaf, (bool, int, float, str)) else str(leaf)


def as_text(values: dict[Any, Any], suffix: str, *, wrap_lines: bool = True) -> str:
    """Return a config in the format of a file with that suffix.

    Raises:
        ConfigError: the suffix is none of a config file.
    """
    if suffix == ".py":
        return pretty_python(values, wrap_lines=wrap_lines)
    if suffix == ".json":
        return as_json(values)
    if suffix in (".yaml", ".yml"):
        return as_yaml(values)
    raise ConfigError(f"a config is saved as .py, .yaml, .yml or .json, not {suffix!r}")

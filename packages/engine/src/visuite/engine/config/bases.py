"""Loading a config file with its bases."""

from __future__ import annotations

import ast
import os
import os.path as osp
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visuite.engine.config.configdict import ConfigDict, MarkedDict, clone, merge
from visuite.engine.config.errors import ConfigError, ConfigNotFoundError, Location
from visuite.engine.config.evaluate import BASE_KEY, Evaluator
from visuite.engine.config.files import base_path, find_in_package, nearest_file, read_text
from visuite.engine.config.lazy import is_new_style
from visuite.engine.config.limits import MAX_CHAIN, MAX_FILES, Budget, LimitError
from visuite.engine.config.parse import parse_json, parse_yaml
from visuite.engine.config.templates import MissingVariableError, Templates
from visuite.engine.config.trusted import run_trusted

_PARSERS: dict[str, Callable[[str, str], ConfigDict]] = {".json": parse_json, ".yaml": parse_yaml, ".yml": parse_yaml}


@dataclass(frozen=True)
class Options:
    """How files are read; the arguments of `Config.fromfile`."""

    use_predefined_variables: bool = True
    use_environment_variables: bool = True
    lazy_import: bool | None = None
    trusted: bool = False


@dataclass
class Loaded:
    """What a file gives, bases merged."""

    values: ConfigDict
    text: str
    environment: dict[str, str] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)  # names of lazy imports
    files: dict[str, tuple[int, int]] = field(default_factory=dict)  # all files read, each with its stamp


#: Bases read before in this process: most configs share a few.
_cache: dict[tuple[str, Options], Loaded] = {}


def load_file(path: str, options: Options) -> Loaded:
    """Load a config file.

    Raises:
        ConfigError: it or a base is missing, faulty, or does what data does not do.
    """
    return Loader(options).load(path)


def load_text(text: str, suffix: str, options: Options) -> Loaded:
    """Load a config from a string, in the format of a file with that suffix."""
    return Loader(options).read(text, f"<string>{suffix}", None)


class Loader:
    """One load: a file and all its bases, on one budget."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.budget = Budget()
        self._chain: list[str] = []
        self._count = 0

    def load(self, path: str, location: Location | None = None) -> Loaded:
        """Load a file; a base that was read before and has not changed comes from the cache."""
        identity = osp.realpath(path)
        if identity in self._chain:
            names = " -> ".join(osp.basename(name) for name in [*self._chain, identity])
            raise ConfigError(f"the bases go in a circle: {names}", location)
        if len(self._chain) >= MAX_CHAIN:
            raise ConfigError(f"more than {MAX_CHAIN} files inherit from each other", location)
        key = (osp.abspath(path), self._options)
        known = _cache.get(key)
        if known is not None and all(_stamp(file) == stamp for file, stamp in known.files.items()):
            return known
        self._count += 1
        if self._count > MAX_FILES:
            raise ConfigError(f"a config has more than {MAX_FILES} bases", location)
        text = read_text(path, location)
        self._chain.append(identity)
        loaded = self.read(text, path, osp.dirname(path))
        self._chain.pop()
        loaded.files[path] = _stamp(path)
        if self._chain and not loaded.environment and not self._options.trusted:
            _cache[key] = loaded
        return loaded

    def read(self, text: str, name: str, folder: str | None) -> Loaded:
        """Load a file's text: first its bases, then itself, then both merged."""
        templates = Templates(
            name if folder is not None else None,
            use_predefined_variables=self._options.use_predefined_variables,
            use_environment_variables=self._options.use_environment_variables,
        )
        try:
            if Path(name).suffix == ".py":
                loaded = _PythonFile(self, text, name, folder, templates, self._options).load()
            else:
                loaded = self._read_data(text, name, folder, templates)
        except (LimitError, MissingVariableError, RecursionError) as error:
            raise ConfigError(str(error), Location(name, 1)) from None
        loaded.environment.update(templates.environment)
        return loaded

    def _read_data(self, text: str, name: str, folder: str | None, templates: Templates) -> Loaded:
        values = _PARSERS[Path(name).suffix](templates.tokenise(text), name)
        location = values.mark_of(BASE_KEY)
        base = self.bases(templates.fill_tree(values.pop(BASE_KEY, None), None), folder, location)
        try:
            templates.fill_tree(values, base.values)
        except MissingVariableError as error:
            raise ConfigError(str(error), Location(name, 1)) from None
        self.budget.weigh(values)
        return self.merged(base, values, text)

    def bases(self, names: Any, folder: str | None, location: Location | None) -> Loaded:
        """Load the bases that a file names, put together.

        Raises:
            ConfigError: a base is missing, or two set the same key.
        """
        listed = [names] if isinstance(names, str) else (names or [])
        if not isinstance(listed, (list, tuple)) or not all(isinstance(item, str) for item in listed):
            raise ConfigError("_base_ is a path or a list of paths", location)
        together = Loaded(ConfigDict(), "")
        texts = []
        for item in listed:
            path, scope = base_path(item, folder, location)
            base = self.load(path, location)
            values = clone(base.values, self.budget)
            if scope is not None:
                add_scope(values, scope)
            self._put_together(together, replace(base, values=values), location)
            texts.append(base.text)
        together.text = "\n".join(texts)
        return together

    @staticmethod
    def _put_together(together: Loaded, base: Loaded, location: Location | None) -> None:
        twice = [str(key) for key in base.values if key in together.values]
        if twice:
            other = together.values.mark_of(twice[0])
            here = base.values.mark_of(twice[0])
            raise ConfigError(f"two bases set {twice[0]!r}: {other} and {here}", location)
        dict.update(together.values, base.values)
        together.values.mark_like(base.values)
        together.environment.update(base.environment)
        together.references.update(base.references)
        together.files.update(base.files)

    def merged(self, base: Loaded, child: MarkedDict, text: str) -> Loaded:
        """Return a file's own values over those of its bases."""
        values = base.values
        merge(values, clone(child, self.budget))
        full = f"{base.text}\n{text}" if base.text else text
        return replace(base, values=values, text=full)


class _PythonFile:
    """One Python config file being loaded."""

    def __init__(
        self, loader: Loader, text: str, name: str, folder: str | None, templates: Templates, options: Options
    ) -> None:
        self._loader = loader
        self._text = text
        self._name = name
        self._folder = folder
        self._templates = templates
        self._options = options
        self._read_files: list[Loaded] = []

    def load(self) -> Loaded:
        tree = parse_python(self._templates.quote_in_python(self._text), self._name)
        lazy = self._options.lazy_import
        new_style = is_new_style(tree) if lazy is None else lazy
        base, has_base = self._bases(tree)
        if self._options.trusted:
            child = run_trusted(tree, self._name, self._templates, base.values if has_base else None, self._read_base)
            references: dict[str, Any] = {}
        else:
            evaluator = self._evaluator(base.values if has_base else None, new_style)
            child = evaluator.run(tree)
            references = {name: evaluator.names[name] for name in evaluator.imported}
        loaded = self._loader.merged(base, child, self._text)
        loaded.references = {**loaded.references, **references}
        texts = [part.text for part in self._read_files]
        for part in self._read_files:
            loaded.environment.update(part.environment)
            loaded.files.update(part.files)
        loaded.text = "\n".join([*texts, loaded.text])
        return loaded

    def _evaluator(self, base: ConfigDict | None, new_style: bool) -> Evaluator:
        return Evaluator(
            self._name,
            templates=self._templates,
            budget=self._loader.budget,
            base=base,
            read_base=self._read_base if new_style else None,
        )

    def _bases(self, tree: ast.Module) -> tuple[Loaded, bool]:
        """Load what `_base_ = ...` names; also tell whether the file has one."""
        found = [
            node
            for node in tree.body
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == BASE_KEY for target in node.targets)
        ]
        if not found:
            return Loaded(ConfigDict(), ""), False
        location = Location(self._name, found[-1].lineno)
        if len(found) > 1:
            raise ConfigError("_base_ is set twice", location)
        names = self._evaluator(None, False).value_of(found[0].value)
        return self._loader.bases(names, self._folder, location), True

    def _read_base(self, node: ast.ImportFrom, location: Location) -> tuple[MarkedDict, dict[str, Any]]:
        """Read the config that an import inside `read_base()` names."""
        loaded = self._loader.load(self._imported_path(node, location), location)
        self._read_files.append(loaded)
        values = clone(loaded.values, self._loader.budget)
        if [alias.name for alias in node.names] == ["*"]:
            return values, loaded.references
        found, references = MarkedDict(), {}
        for alias in node.names:
            bound = alias.asname or alias.name
            if alias.name in values:
                found[bound] = values[alias.name]
                found.mark(bound, values.mark_of(alias.name))
            elif alias.name in loaded.references:
                references[bound] = loaded.references[alias.name]
            else:
                raise ConfigError(f"{'.' * node.level}{node.module or ''} sets no {alias.name!r}", location)
        return found, references

    def _imported_path(self, node: ast.ImportFrom, location: Location) -> str:
        parts = (node.module or "").split(".")
        if node.level == 0:
            package, *rest = parts
            rest = rest[1:] if rest[:1] == ["configs"] else rest
            return str(find_in_package(package, "/".join(rest) + ".py", location))
        if self._folder is None:
            raise ConfigError("a relative import needs a folder, and this config lies in none", location)
        target = osp.normpath(osp.join(self._folder, *[".."] * (node.level - 1), *parts))
        for path in (f"{target}.py", osp.join(target, "__init__.py")):
            if osp.isfile(path):
                return path
        raise ConfigNotFoundError(f"{target}.py: no such config{nearest_file(Path(f'{target}.py'))}", location)


def parse_python(source: str, name: str) -> ast.Module:
    """Parse a Python config.

    Raises:
        ConfigError: it is no Python, or nested absurdly.
    """
    try:
        return ast.parse(source, name)
    except SyntaxError as error:
        raise ConfigError(f"no valid Python: {error.msg}", Location(name, error.lineno or 1)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"cannot be parsed: {error or 'nested too deep'}", Location(name, 1)) from None


def add_scope(value: Any, scope: str) -> None:
    """Give the outermost dicts with a `type` in a package's config the package's scope, where they have none."""
    if isinstance(value, dict):
        if "type" in value:
            if "_scope_" not in value:
                dict.__setitem__(value, "_scope_", scope)
            return
        for item in value.values():
            add_scope(item, scope)
    elif isinstance(value, (list, tuple)):
        for item in value:
            add_scope(item, scope)


def _stamp(path: str) -> tuple[int, int]:
    """Return what tells whether a file has changed."""
    try:
        status = os.stat(path)
    except OSError:
        return (-1, -1)
    return (status.st_mtime_ns, status.st_size)

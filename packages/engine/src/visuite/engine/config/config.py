"""`Config`: a config file, loaded."""

from __future__ import annotations

import argparse
import difflib
import os
import os.path as osp
import warnings
from collections.abc import Iterator
from copy import copy, deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

from visuite.engine.config.bases import Loaded, Options, load_file, load_text
from visuite.engine.config.configdict import ConfigDict, clone, locate, merge
from visuite.engine.config.errors import ConfigError, Location
from visuite.engine.config.imports import import_modules_from_strings
from visuite.engine.config.printer import as_text, pretty_python

#: Attributes of a Config itself, which therefore cannot be keys at its top level.
RESERVED_KEYS = ("filename", "text", "pretty_text", "env_variables")
DEPRECATION_KEY = "_deprecation_"
OPTIONS_SOURCE = "--cfg-options"


class Config:
    """A config: nested values by attribute or item, that know the lines they were set at.

    Args:
        cfg_dict: The values.
        cfg_text: The source text.
        filename: The file they came from.
        env_variables: The environment variables that were filled in.
        format_python: Whether printed configs are laid out over several lines.

    Raises:
        TypeError: `cfg_dict` is no dict.
        ConfigError: a key is one of the reserved `filename`, `text`, `pretty_text`, `env_variables`.

    Example:
        >>> cfg = Config(dict(model=dict(backbone=dict(depth=50))))
        >>> cfg.model.backbone.depth
        50
    """

    _cfg_dict: ConfigDict
    _text: str
    _filename: str | None
    _env_variables: dict[str, str]
    _format_python: bool

    def __init__(
        self,
        cfg_dict: dict[str, Any] | None = None,
        cfg_text: str | None = None,
        filename: str | Path | None = None,
        env_variables: dict[str, str] | None = None,
        format_python: bool = True,
    ) -> None:
        if cfg_dict is not None and not isinstance(cfg_dict, dict):
            raise TypeError(f"cfg_dict is a dict, not {type(cfg_dict).__name__}")
        values = clone(cfg_dict or {})
        for key in RESERVED_KEYS:
            if key in values:
                raise ConfigError(f"the key {key!r} is an attribute of every config; rename it", values.mark_of(key))
        name = None if filename is None else str(filename)
        if cfg_text is None:
            cfg_text = Path(name).read_text(encoding="utf-8") if name is not None and osp.isfile(name) else ""
        self.__setstate__((values, name, cfg_text, dict(env_variables or {}), format_python))

    # ------------------------------------------------------------------ loading

    @staticmethod
    def fromfile(
        filename: str | Path,
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
        use_environment_variables: bool = True,
        lazy_import: bool | None = None,
        format_python: bool = True,
        *,
        trusted: bool = False,
    ) -> Config:
        """Load a .py, .yaml, .yml or .json config with its bases.

        Nothing is run or imported: a Python config is evaluated as data, and its `custom_imports` wait
        for the method `import_custom_modules`.

        Args:
            filename: The file.
            use_predefined_variables: Whether `{{fileDirname}}`, `{{fileBasename}}`, `{{fileBasenameNoExtension}}`
                and `{{fileExtname}}` are filled in.
            import_custom_modules: Accepted for compatibility; loading never imports.
            use_environment_variables: Whether `{{$NAME:default}}` is filled in.
            lazy_import: Whether the file is of the new style, with `read_base()`; None finds out.
            format_python: Whether printed configs are laid out over several lines.
            trusted: Run Python files as Python. For files whose author you trust as you trust a script's.

        Raises:
            ConfigError: the file or a base is missing or faulty; says file and line.
        """
        path = osp.abspath(osp.expanduser(os.fspath(filename)))
        options = Options(use_predefined_variables, use_environment_variables, lazy_import, trusted)
        return Config._of(load_file(path, options), str(filename), format_python)

    @staticmethod
    def fromstring(cfg_str: str, file_format: str, *, trusted: bool = False) -> Config:
        """Load a config from a string.

        Args:
            cfg_str: The text.
            file_format: `.py`, `.yaml`, `.yml` or `.json`.
            trusted: Run Python as Python.

        Raises:
            ConfigError: the text is faulty, or the format is none of these.
        """
        if file_format not in (".py", ".yaml", ".yml", ".json"):
            raise ConfigError(f"a config is .py, .yaml, .yml or .json, not {file_format!r}")
        loaded = load_text(cfg_str, file_format, Options(trusted=trusted))
        return Config._of(loaded, None, True)

    @staticmethod
    def _of(loaded: Loaded, filename: str | None, format_python: bool) -> Config:
        values = clone(loaded.values)
        _warn_deprecated(values.pop(DEPRECATION_KEY, None), filename)
        return Config(values, loaded.text, filename, loaded.environment, format_python)

    def import_custom_modules(self) -> ModuleType | list[ModuleType | None] | None:
        """Import what `custom_imports=dict(imports=[...], allow_failed_imports=False)` names.

        Raises:
            ConfigError: `custom_imports` is no such dict.
            ImportError: a module cannot be imported.
        """
        wanted = self._cfg_dict.get("custom_imports")
        if not wanted:
            return None
        if not isinstance(wanted, dict) or not set(wanted) <= {"imports", "allow_failed_imports"}:
            raise ConfigError(
                "custom_imports is dict(imports=[...], allow_failed_imports=...)", self.where("custom_imports")
            )
        return import_modules_from_strings(wanted.get("imports"), wanted.get("allow_failed_imports", False))

    # ------------------------------------------------------------------ what it is

    @property
    def filename(self) -> str | None:
        """The file it was loaded from."""
        return self._filename

    @property
    def text(self) -> str:
        """The source of the bases and of the file."""
        return self._text

    @property
    def env_variables(self) -> dict[str, str]:
        """The environment variables that were filled in, with their values."""
        return self._env_variables

    @property
    def pretty_text(self) -> str:
        """The config as Python that loads back equal."""
        return pretty_python(self._cfg_dict, wrap_lines=self._format_python)

    def where(self, path: str) -> Location | None:
        """Return the file and line that set a value (`'model.backbone.depth'`, `'pipeline.0.type'`).

        A value inside a list has the place of the list; None: a program set the value.

        Raises:
            KeyError: the config has no such value.
        """
        try:
            return locate(self._cfg_dict, path.split("."))
        except KeyError as error:
            raise KeyError(f"the config has no value {path!r} ({error.args[0]!r} is not there)") from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested dicts."""
        return self._cfg_dict.to_dict()

    def dump(self, file: str | Path | None = None) -> str | None:
        """Save the config in the format of the file's suffix; without a file, return it as text.

        Text is in the format of the file that the config was loaded from, Python where there is none.

        Raises:
            ConfigError: the suffix is none of a config file.
        """
        suffix = Path(file or self._filename or "config.py").suffix
        text = as_text(self._cfg_dict, suffix, wrap_lines=self._format_python)
        if file is None:
            return text
        Path(file).write_text(text, encoding="utf-8")
        return None

    @staticmethod
    def diff(cfg1: str | Path | Config, cfg2: str | Path | Config) -> str:
        """Return a unified diff of two configs, or of two files, printed with sorted keys."""
        configs = [cfg if isinstance(cfg, Config) else Config.fromfile(cfg) for cfg in (cfg1, cfg2)]
        first, second = (pretty_python(cfg._cfg_dict, sort_keys=True).splitlines() for cfg in configs)
        old, new = (cfg.filename or f"config {number}" for number, cfg in enumerate(configs, 1))
        return "".join(f"{line}\n" for line in difflib.unified_diff(first, second, old, new, lineterm=""))

    # ------------------------------------------------------------------ changing it

    def merge_from_dict(self, options: dict[str, Any], allow_list_keys: bool = True) -> None:
        """Merge options with dotted keys: `{'model.backbone.depth': 101, 'pipeline.0.scale': (640, 640)}`.

        Args:
            options: New values by path.
            allow_list_keys: Whether `'0'` names an item of a list.

        Raises:
            ConfigError: an option does not fit; the config is unchanged then.
        """
        source = Location(OPTIONS_SOURCE)
        tree = ConfigDict()
        for path, value in options.items():
            *parents, last = str(path).split(".")
            node = tree
            for key in parents:
                if not isinstance(node.get(key), ConfigDict):
                    dict.__setitem__(node, key, ConfigDict())
                    node.mark(key, source)
                node = node[key]
            dict.__setitem__(node, last, _marked(clone(value), source))
            node.mark(last, source)
        values = clone(self._cfg_dict)
        merge(values, tree, allow_list_keys=allow_list_keys)
        object.__setattr__(self, "_cfg_dict", values)

    @staticmethod
    def auto_argparser(description: str | None = None) -> tuple[argparse.ArgumentParser, Config]:
        """Make a parser with one option for each value of the config that the command line names first."""
        names = argparse.ArgumentParser(add_help=False)
        names.add_argument("config")
        cfg = Config.fromfile(names.parse_known_args()[0].config)
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("config", help="config file")
        _add_options(parser, cfg._cfg_dict, "")
        return parser, cfg

    # ------------------------------------------------------------------ as a mapping and an object

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_cfg_dict":
            raise AttributeError(name)
        return getattr(self._cfg_dict, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        delattr(self._cfg_dict, name)

    def __getitem__(self, name: str) -> Any:
        return self._cfg_dict[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in RESERVED_KEYS:
            raise ConfigError(f"the key {name!r} is an attribute of every config")
        self._cfg_dict[name] = value

    def __delitem__(self, name: str) -> None:
        del self._cfg_dict[name]

    def __contains__(self, name: object) -> bool:
        return name in self._cfg_dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._cfg_dict)

    def __len__(self) -> int:
        return len(self._cfg_dict)

    def __eq__(self, other: object) -> bool:
        return self._cfg_dict == other._cfg_dict if isinstance(other, Config) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Config (path: {self._filename}): {self._cfg_dict!r}"

    def copy(self) -> Config:
        """Return a shallow copy."""
        return copy(self)

    def __copy__(self) -> Config:
        return self._twin(copy(self._cfg_dict))

    def __deepcopy__(self, memo: dict[int, Any]) -> Config:
        return self._twin(deepcopy(self._cfg_dict, memo))

    def _twin(self, values: ConfigDict) -> Config:
        new = Config.__new__(Config)
        new.__setstate__((values, *self.__getstate__()[1:]))
        return new

    def __getstate__(self) -> tuple[ConfigDict, str | None, str, dict[str, str], bool]:
        return (self._cfg_dict, self._filename, self._text, self._env_variables, self._format_python)

    def __setstate__(self, state: tuple[ConfigDict, str | None, str, dict[str, str], bool]) -> None:
        names = ("_cfg_dict", "_filename", "_text", "_env_variables", "_format_python")
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)


def _marked(value: Any, source: Location) -> Any:
    """Give all keys in a value one place."""
    if isinstance(value, ConfigDict):
        for key, item in value.items():
            value.mark(key, source)
            _marked(item, source)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _marked(item, source)
    return value


def _warn_deprecated(notice: Any, filename: str | None) -> None:
    if isinstance(notice, dict):
        better = f", use {notice['expected']}" if "expected" in notice else ""
        more = f"; see {notice['reference']}" if "reference" in notice else ""
        warnings.warn(f"the config {filename} is deprecated{better}{more}", DeprecationWarning, stacklevel=4)


def _add_options(parser: argparse.ArgumentParser, values: ConfigDict, prefix: str) -> None:
    for key, value in values.items():
        name = f"--{prefix}{key}"
        if isinstance(value, ConfigDict):
            _add_options(parser, value, f"{prefix}{key}.")
        elif isinstance(value, bool):
            parser.add_argument(name, action="store_true", default=value)
        elif isinstance(value, (int, float, str)):
            parser.add_argument(name, type=type(value), default=value)
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], (int, float, str)):
            parser.add_argument(name, type=type(value[0]), nargs="+", default=value)

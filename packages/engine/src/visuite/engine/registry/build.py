"""The one place that turns a config into an object."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from visuite.engine.utils.manager import ManagerMixin
from visuite.engine.utils.text import did_you_mean

if TYPE_CHECKING:
    from visuite.engine.registry.registry import Registry

#: The configs being built, outermost first, and the name of the outermost in the user's file.
_building: ContextVar[tuple[tuple[str, Any], ...]] = ContextVar("_building", default=())


@dataclass(frozen=True)
class Entry:
    """What a registered name stands for: an object, and the arguments it gets unless a config says otherwise."""

    obj: Any
    defaults: dict[str, Any] = field(default_factory=dict)


class ConfigPathError(Exception):
    """A fault in a config that knows its place there (`config_path`, such as `'model.backbone'`)."""

    config_path: str = ""

    def __init__(self, message: str, config_path: str = "") -> None:
        super().__init__(f"{config_path}: {message}" if config_path else message)
        self.config_path = config_path

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownTypeError(ConfigPathError, KeyError):
    """A `type` that no registry knows."""


class ScopeImportError(ConfigPathError, ImportError):
    """A scope whose package cannot be imported."""


class MissingKeyError(ConfigPathError, KeyError):
    """A key that a config must have."""


class BadValueError(ConfigPathError, ValueError):
    """Values that do not go together, or are out of their range."""


class BadArgumentError(ConfigPathError, TypeError):
    """An argument that is missing, unknown or of the wrong kind."""


@contextmanager
def config_path(name: str) -> Iterator[None]:
    """Inside the block, errors of `build` place themselves below `name` in the config.

    A name that begins with a dot (`'.dataset'`) lies below what is being built already.
    """
    token = _building.set((*_building.get(), (name, None)))
    try:
        yield
    finally:
        _building.reset(token)


def build_from_cfg(cfg: Any, registry: Registry, default_args: Mapping[str, Any] | None = None) -> Any:
    """Build the object that a config describes; return anything but a config unchanged.

    Args:
        cfg: `dict(type=..., **arguments)`, `type` being a name, a class or a lazy reference.
        registry: Where `type` is looked up.
        default_args: Arguments used where the config has none.

    Raises:
        KeyError: no `type`, or one that no registry knows; says the nearest names.
        ImportError: the package of a scope that the config names is missing; says what to install.
        TypeError: `cfg` is None, or an argument is unknown or missing; says the nearest name.
    """
    cfg = getattr(cfg, "_cfg_dict", cfg)  # a whole Config
    if not isinstance(cfg, dict):
        if cfg is None:
            raise BadArgumentError(f"a {registry.name} config or object is needed, not None", _here(None))
        return cfg
    token = _building.set((*_building.get(), ("", cfg)))
    try:
        return _build(cfg, registry, dict(default_args or {}))
    finally:
        _building.reset(token)


def build_model_from_cfg(cfg: Any, registry: Registry, default_args: Mapping[str, Any] | None = None) -> Any:
    """Do what `build_from_cfg` does; several configs or modules in a list become an `nn.Sequential`."""
    if not isinstance(cfg, list):
        return build_from_cfg(cfg, registry, default_args)
    from torch import nn

    return nn.Sequential(*(build_from_cfg(one, registry, default_args) for one in cfg))


def _build(cfg: dict[str, Any], registry: Registry, defaults: dict[str, Any]) -> Any:
    arguments = {**defaults, **cfg}
    kind = arguments.pop("type", None)
    if kind is None:
        raise UnknownTypeError(
            f"a {registry.name} config needs the key 'type', this has only {sorted(cfg)}", _here(cfg)
        )
    with ExitStack() as scope:
        try:
            node = scope.enter_context(registry.switch_scope_and_registry(arguments.pop("_scope_", None)))
            entry = _resolve(kind, (node, registry), cfg)
        except ImportError as error:
            raise ScopeImportError(str(error), _here(cfg)) from error
        arguments = {**entry.defaults, **arguments}
        check_arguments(entry.obj, arguments, _here(cfg))
        if inspect.isclass(entry.obj) and issubclass(entry.obj, ManagerMixin):
            return entry.obj.get_instance(**arguments)
        try:
            return entry.obj(**arguments)
        except Exception as error:
            if not isinstance(error, ConfigPathError) and not getattr(error, "__notes__", None):
                error.add_note(f"while building {_here(cfg) or registry.name} ({_name_of(entry.obj)})")
            raise


def _resolve(kind: Any, nodes: tuple[Registry, Registry], cfg: dict[str, Any]) -> Entry:
    """Find a type: from the default scope's node, then from the one that was asked to build."""
    kind = getattr(kind, "dotted_path", kind)  # a lazy reference of a new-style config
    if not isinstance(kind, str):
        if callable(kind):
            return Entry(kind)
        raise BadArgumentError(f"'type' is a name or a class, not {type(kind).__name__}", _here(cfg))
    entry = nodes[0].find(kind) or nodes[1].find(kind)
    if entry is None:
        raise UnknownTypeError(nodes[0].explain_missing(kind), _here(cfg))
    return entry


def check_arguments(target: Any, arguments: Mapping[str, Any], place: str = "") -> None:
    """Hold arguments against a signature before the call, so that the error can name the nearest right one.

    Raises:
        TypeError: an argument is unknown or a needed one is missing.
    """
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # a built-in without a signature: the call itself must tell
        return
    kinds = inspect.Parameter
    names = [n for n, p in parameters.items() if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    if not any(p.kind is kinds.VAR_KEYWORD for p in parameters.values()):
        for name in arguments:
            if name not in names:
                raise BadArgumentError(
                    f"{_name_of(target)} has no argument {name!r}{did_you_mean(str(name), names)}", place
                )
    missing = [n for n in names if parameters[n].default is kinds.empty and n not in arguments]
    if missing:
        raise BadArgumentError(f"{_name_of(target)} needs {', '.join(map(repr, missing))}", place)


def _name_of(target: Any) -> str:
    return getattr(target, "__qualname__", repr(target))


def _here(cfg: dict[str, Any] | None) -> str:
    """Return the path of `cfg` below the outermost config being built: `'model.backbone'`."""
    path, above = "", None
    for name, node in _building.get():
        if node is None:
            path, above = _join(path, name[1:]) if name.startswith(".") else name, None
            continue
        if above is not None:
            path = _join(path, _path_within(above, node))
        above = node
        if node is cfg:
            break
    return path


def _join(path: str, tail: str) -> str:
    return ".".join(part for part in (path, tail) if part)


def _path_within(tree: Any, target: dict[str, Any]) -> str:
    """Find a config inside its parent's: the very object, or else one of the same type and keys."""
    alike = ""
    stack: list[tuple[str, Any]] = [("", tree)]
    while stack:
        path, node = stack.pop()
        if node is target and path:
            return path
        if isinstance(node, dict):
            if path and not alike and node.get("type") == target.get("type") and node.keys() <= target.keys():
                alike = path
            stack.extend((_join(path, str(key)), value) for key, value in node.items())
        elif isinstance(node, (list, tuple)):
            stack.extend((_join(path, str(index)), value) for index, value in enumerate(node))
    return alike

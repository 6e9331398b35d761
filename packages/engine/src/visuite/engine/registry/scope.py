"""Which package a scope names, and the scope that unprefixed names belong to.

Packages announce themselves by entry points, so that naming a scope in a config is enough to have
its package imported: group `visuite.scopes` for those with a scope of their own, `visuite.root`
for those that register into the root (visuite.cv).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from types import ModuleType
from typing import Any

from visuite.engine.utils.manager import ManagerMixin

#: Scope names of OpenMMLab's configs, and ours.
SCOPE_ALIASES = {
    "mmengine": "engine",
    "mmcv": "cv",
    "mmpretrain": "cls",
    "mmcls": "cls",
    "mmdet": "det",
    "mmseg": "seg",
    "mmyolo": "yolo",
}
#: Scopes whose parts are registered into the root registries.
ROOT_SCOPES = ("engine", "cv")
#: Our own packages, known even where they are not installed.
OWN_SCOPES = ("engine", "cv", "cls", "det", "seg", "yolo")

_trusted_packages: set[str] = {"torch", "torchvision", "visuite"}


def canonical_scope(scope: str) -> str:
    """Return our name of a scope: `mmdet` is `det`, other names stand for themselves."""
    return SCOPE_ALIASES.get(scope, scope)


@functools.cache
def announced_packages(group: str) -> dict[str, str]:
    """Return {scope: module name} of the packages that announce themselves in an entry point group."""
    from importlib.metadata import entry_points  # not needed to read a config, and slow

    return {point.name: point.value for point in entry_points(group=group)}


def is_known_scope(scope: str) -> bool:
    """Tell whether a name is a scope of ours, an alias, or a package that announces itself."""
    name = canonical_scope(scope)
    return name in OWN_SCOPES or name in announced_packages("visuite.scopes")


def how_to_install(module: str | None) -> str:
    """Return `': pip install visuite-cls'` for a module of one of our packages (`visuite.cls.heads`), else nothing."""
    top, _, rest = (module or "").partition(".")
    package = rest.partition(".")[0]
    return f": pip install visuite-{package}" if top == "visuite" and package in OWN_SCOPES else ""


def import_scope(scope: str) -> ModuleType | None:
    """Import the package of a scope; return None for a scope that nobody announces.

    Raises:
        ImportError: the package cannot be imported; says the scope, and for a package of ours what to install.
    """
    name = canonical_scope(scope)
    announced = announced_packages("visuite.scopes") | announced_packages("visuite.root")
    module = announced.get(name, f"visuite.{name}" if name in OWN_SCOPES else None)
    if module is None:
        return None
    remedy = how_to_install(module)
    if name in OWN_SCOPES and importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(f"scope {scope!r} needs a package that is not installed{remedy}")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"scope {scope!r} needs {module}, which fails to import ({error}){remedy}") from error


def import_root_packages() -> bool:
    """Import the packages that register into the root; tell whether there is any."""
    modules = list(announced_packages("visuite.root").values())
    for module in modules:
        importlib.import_module(module)
    return bool(modules)


def trust_package(name: str) -> None:
    """Let configs name objects of this top-level package by their dotted path (`my_code.models.Net`)."""
    _trusted_packages.add(name.split(".")[0])


def resolve_dotted(path: str) -> Any | None:
    """Return the object at a dotted path in a trusted package, or None.

    Configs are data: what they may name this way is limited to classes of torch and torchvision
    (and torchvision's model functions), to visuite, to packages that announce themselves and to
    modules that the user's `custom_imports` brought in.
    """
    top = path.split(".")[0]
    announced = {module.split(".")[0] for module in announced_packages("visuite.scopes").values()}
    if top not in _trusted_packages | announced:
        return None
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute, None)
        harmless = isinstance(found, type) or path.startswith("torchvision.models.")
        return found if harmless or top not in ("torch", "torchvision") else None
    return None


class DefaultScope(ManagerMixin):
    """The scope in which unprefixed type names are looked up first."""

    def __init__(self, name: str, scope_name: str) -> None:
        super().__init__(name)
        self._scope_name = scope_name

    @property
    def scope_name(self) -> str:
        """The scope's name as the user gave it."""
        return self._scope_name

    @classmethod
    def get_current_instance(cls) -> DefaultScope | None:  # type: ignore[override]
        """Return the current scope, or None when none was set."""
        return super().get_current_instance() if cls._active or cls._current else None

    @classmethod
    @contextmanager
    def overwrite_default_scope(cls, scope_name: str | None) -> Iterator[None]:
        """Use another default scope inside a `with` block; None changes nothing."""
        if scope_name is None:
            yield
            return
        name = f"overwrite-{scope_name}"  # not by get_instance, which would leave it current after the block
        with cls._instances.setdefault(name, cls(name, scope_name)).activate():
            yield


_numbers = count()


def init_default_scope(scope: str) -> None:
    """Make `scope` the default, and import its package if it is one of ours or announces itself."""
    import_scope(scope)
    current = DefaultScope.get_current_instance()
    if current is None or current.scope_name != scope:
        DefaultScope.get_instance(f"{scope}-{next(_numbers)}", scope_name=scope)

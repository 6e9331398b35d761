"""Importing what configs name, once something is to be built: `custom_imports` and lazy references."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from visuite.engine.registry.root import ROOTS
from visuite.engine.registry.scope import SCOPE_ALIASES, how_to_install, trust_package


def our_module(name: str) -> str:
    """Return our name of a module: `mmdet.models` is `visuite.det.models`, or `visuite.det` if that is not there."""
    root, _, rest = name.partition(".")
    if root not in SCOPE_ALIASES:
        return name
    mapped = f"visuite.{SCOPE_ALIASES[root]}"
    for part in rest.split(".") if rest else []:
        if not _exists(f"{mapped}.{part}"):
            break
        mapped = f"{mapped}.{part}"
    return mapped


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def import_modules_from_strings(
    imports: str | Sequence[str] | None, allow_failed_imports: bool = False
) -> ModuleType | list[ModuleType | None] | None:
    """Import the modules that a config's `custom_imports` names, so that they register their parts.

    Names of OpenMMLab's packages import ours. The packages imported may from then on be named by
    their dotted path in configs.

    Args:
        imports: A module, or several.
        allow_failed_imports: Warn of a module that cannot be imported, and give None for it.

    Raises:
        TypeError: `imports` names something that is no text.
        ImportError: a module cannot be imported.
    """
    if not imports:
        return None
    names = [imports] if isinstance(imports, str) else list(imports)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"custom_imports names modules, {name!r} is {type(name).__name__}")
    modules = [_import(name, allow_failed_imports) for name in names]
    return modules[0] if isinstance(imports, str) else modules


def _import(name: str, allow_failed: bool) -> ModuleType | None:
    try:
        module = importlib.import_module(our_module(name))
    except ImportError as error:
        if not allow_failed:
            remedy = how_to_install(error.name)
            raise ImportError(f"custom_imports: cannot import {name!r}: {error}{remedy}", name=error.name) from error
        warnings.warn(f"custom_imports: {name!r} is left out: {error}", UserWarning, stacklevel=3)
        return None
    trust_package(our_module(name))
    return module


def import_object(path: str) -> Any:
    """Import the object at a dotted path; OpenMMLab's packages stand for ours.

    Raises:
        ImportError: no module or attribute of that path.
    """
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        name = ".".join(parts[:cut])
        mapped = our_module(name)
        if mapped != name and cut == len(parts) > 1:
            continue  # the last part names the object, not a module that a package of ours could stand for
        if not _exists(mapped):
            continue
        found: Any = importlib.import_module(mapped)
        try:
            for attribute in parts[cut:]:
                found = getattr(found, attribute)
        except AttributeError:
            break
        return found
    registered = next(filter(None, (registry.get(path) for registry in ROOTS.values())), None)
    if registered is not None:
        return registered
    raise ImportError(f"cannot import {path!r}: there is no such module or name in it")

"""Questions about classes, objects and installed packages."""

from __future__ import annotations

import importlib
from importlib import util
from pathlib import Path
from typing import Any


def has_method(obj: object, method: str) -> bool:
    """Tell whether an object has something callable of this name."""
    return callable(getattr(obj, method, None))


def is_method_overridden(method: str, base_class: type, derived_class: type | Any) -> bool:
    """Tell whether a subclass, or an object of one, has a method of its own in place of its base's.

    Raises:
        TypeError: `base_class` is no class.
    """
    if not isinstance(base_class, type):
        raise TypeError(f"base_class has to be a class, not an object of {type(base_class).__name__}")
    kind = derived_class if isinstance(derived_class, type) else type(derived_class)
    return getattr(kind, method) is not getattr(base_class, method)


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported, or a distribution of this name is installed."""
    try:
        if util.find_spec(package) is not None:
            return True
    except (ImportError, ValueError):  # a parent that is absent, or a name that is no module's
        pass
    return package_version(package) is not None


def package_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    from importlib import metadata  # slow, and most processes never ask

    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def get_installed_path(package: str) -> str:
    """Return the folder of an installed package.

    Raises:
        ImportError: it is not installed.
    """
    try:
        spec = util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise ImportError(f"package {package!r} is not installed")
    if spec.submodule_search_locations:
        return str(next(iter(spec.submodule_search_locations)))
    return str(Path(spec.origin or "").parent)


def get_object_from_string(obj_name: str) -> Any | None:
    """Import what a dotted name such as `torch.nn.Linear.forward` means, or return None where there is nothing."""
    parts = obj_name.split(".")
    for cut in range(len(parts), 0, -1):
        module = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the module is there, but lacks something it needs
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found
    return None

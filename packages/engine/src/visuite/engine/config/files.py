"""Where the base of a config lies: beside it, or in a package (`mmdet::retinanet/...`)."""

from __future__ import annotations

import functools
import importlib.util
import os.path as osp
from pathlib import Path

from visuite.engine.config.errors import ConfigError, ConfigNotFoundError, Location
from visuite.engine.config.limits import MAX_FILE_BYTES
from visuite.engine.registry.scope import OWN_SCOPES, SCOPE_ALIASES, canonical_scope
from visuite.engine.utils.text import did_you_mean

SUFFIXES = (".py", ".yaml", ".yml", ".json")


def base_path(name: str, folder: str | None, location: Location | None = None) -> tuple[str, str | None]:
    """Return the path that a `_base_` names, and the scope its parts belong to if it names a package.

    Args:
        name: `../x.py`, an absolute path, or `package::path/below/its/configs.py`.
        folder: The folder of the file that names it; None where that is no file.
        location: Where it is named, for messages.

    Raises:
        ConfigError: no such file or package, with the nearest one that exists.
    """
    if "::" in name:
        scope, _, rest = name.partition("::")
        return str(find_in_package(scope, rest, location)), scope
    path = osp.expanduser(name)
    if not osp.isabs(path):
        if folder is None:
            raise ConfigError(f"{name!r} is relative, and this config lies in no folder", location)
        path = osp.join(folder, path)
    return osp.normpath(path), None


def find_in_package(scope: str, path: str, location: Location | None = None) -> Path:
    """Return a config file of a package, which is not imported.

    Raises:
        ConfigError: no such package or file, with the nearest one.
    """
    folders = config_folders(scope)
    if not folders:
        known = [*SCOPE_ALIASES, *OWN_SCOPES]
        raise ConfigNotFoundError(
            f"{scope}::{path}: no installed package brings configs of {scope!r}{did_you_mean(scope, known)}",
            location,
        )
    for folder in folders:
        if (folder / path).is_file():
            return folder / path
    raise ConfigNotFoundError(f"{scope}::{path}: no such config{nearest_file(folders[0] / path)}", location)


@functools.cache
def _module_folder(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def config_folders(scope: str) -> list[Path]:
    """Return the folders with the configs of a scope: the packages of all its names, as far as installed."""
    canonical = canonical_scope(scope)
    names = [scope, *(old for old, new in SCOPE_ALIASES.items() if new == canonical and old != scope)]
    modules = [name for name in names if name.isidentifier() and name not in OWN_SCOPES]
    if canonical in OWN_SCOPES:
        modules.append(f"visuite.{canonical}")
    folders: list[Path] = []
    for module in modules:
        root = _module_folder(module)
        if root is not None:
            folders += [root / ".mim" / "configs", root / "configs", *_of_checkout(root, canonical)]
    return [folder for folder in folders if folder.is_dir()]


def _of_checkout(root: Path, scope: str) -> list[Path]:
    """Return where configs lie beside the source of a package that is not installed as a wheel."""
    if root.parent.name == "visuite" and len(root.parents) > 4:
        return [root.parents[4] / "configs" / scope]  # configs/det beside packages/det/src/visuite/det
    return [root.parent / "configs"]


def nearest_file(path: Path) -> str:
    """Say which existing file is most like one that does not exist, or where its path breaks off."""
    missing = path
    while not missing.parent.is_dir() and missing != missing.parent:
        missing = missing.parent
    there = [entry.name for entry in missing.parent.iterdir()] if missing.parent.is_dir() else []
    hint = did_you_mean(missing.name, there)
    if missing != path and not hint:
        return f"; there is no folder {missing.name!r} in {missing.parent}"
    return hint


def read_text(path: str, location: Location | None = None) -> str:
    """Read a config file.

    Raises:
        ConfigError: it is missing, no regular file, of an unknown kind, too large or no text.
    """
    file = Path(path)
    if not file.exists():
        raise ConfigNotFoundError(f"{path}: no such config{nearest_file(file)}", location)
    if file.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: a config is a file of {', '.join(SUFFIXES)}", location)
    if not file.is_file():
        raise ConfigError(f"{path} is no regular file", location)
    if file.stat().st_size > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes", location)
    try:
        return file.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", location) from None

"""Local files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PathLike = str | os.PathLike[str]


def is_filepath(x: Any) -> bool:
    """Tell whether `x` is a string or a path."""
    return isinstance(x, (str, os.PathLike))


def check_file_exist(filename: PathLike, msg_tmpl: str = 'file "{}" does not exist') -> None:
    """Raise FileNotFoundError unless there is a file."""
    if not os.path.isfile(filename):
        raise FileNotFoundError(msg_tmpl.format(filename))


def mkdir_or_exist(dir_name: PathLike, mode: int = 0o777) -> None:
    """Make a folder and those above it where they are missing; an empty name means nothing to do."""
    if dir_name != "":
        os.makedirs(os.path.expanduser(dir_name), mode=mode, exist_ok=True)


def symlink(src: PathLike, dst: PathLike, overwrite: bool = True, **kwargs: Any) -> None:
    """Make a link at `dst` to `src`; an older link or file there gives way when `overwrite`."""
    if overwrite and os.path.lexists(dst):
        os.remove(dst)
    os.symlink(src, dst, **kwargs)


def scandir(
    dir_path: PathLike,
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    case_sensitive: bool = True,
) -> Iterator[str]:
    """Iterate over the files of a folder, as paths relative to it, in the order of their names.

    Hidden files and folders are passed over.

    Args:
        dir_path: The folder.
        suffix: How names have to end.
        recursive: Go down into folders.
        case_sensitive: Whether `.JPG` is not `.jpg`.

    Raises:
        TypeError: a path or suffix of another type.
    """
    if not is_filepath(dir_path):
        raise TypeError(f"a folder is named by a str or a Path, not by a {type(dir_path).__name__}")
    if suffix is not None and not isinstance(suffix, (str, tuple)):
        raise TypeError(f"suffix is a string or a tuple of strings, not {type(suffix).__name__}")
    endings = (suffix,) if isinstance(suffix, str) else suffix or ("",)
    if not case_sensitive:
        endings = tuple(ending.lower() for ending in endings)
    return _files(Path(dir_path), "", endings, recursive, case_sensitive)


def _files(folder: Path, below: str, endings: tuple[str, ...], recursive: bool, exact: bool) -> Iterator[str]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if recursive:
                yield from _files(Path(entry.path), f"{below}{entry.name}/", endings, recursive, exact)
        elif (entry.name if exact else entry.name.lower()).endswith(endings):
            yield below + entry.name

"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from visuite.engine.fileio.access import make_parent
from visuite.engine.fileio.location import BackendArgs, PathLike, Remote, locate


@contextmanager
def atomic_write(path: PathLike, backend_args: BackendArgs = None) -> Iterator[BinaryIO]:
    """Write a file that appears whole, or, when anything fails, not at all.

    The bytes go to a hidden file beside the target, reach the disk, and take the target's name in
    one step. Until then an older file of that name stays as it is. To a URL, they are uploaded at the end.

    Args:
        path: A local path or a URL; missing folders are made.
        backend_args: As everywhere in fileio.

    Yields:
        A binary file open for writing.

    Raises:
        OSError: it could not be written (disk full, no permission); the message names `path`.
    """
    place = locate(path, backend_args)
    try:
        make_parent(place)
        with _upload(place) if isinstance(place, Remote) else _replace(os.path.realpath(place)) as file:
            yield file
    except Exception as error:
        cause = _os_error_in(error)
        if cause is None or not _is_of_draft(cause, str(path)):
            raise
        raise OSError(cause.errno, f"cannot write: {cause.strerror or cause}", str(path)) from error


@contextmanager
def _replace(path: str) -> Iterator[BinaryIO]:
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(draft, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(draft)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make a rename survive a power cut, where the system can (not Windows, not every network disk)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _upload(place: Remote) -> Iterator[BinaryIO]:
    with tempfile.TemporaryDirectory() as folder:
        draft = os.path.join(folder, "draft")
        with open(draft, "wb") as file:
            yield file
        place.fs.put_file(draft, place.path)


def _is_of_draft(error: OSError, path: str) -> bool:
    """Tell a failed write, which names no file or our hidden one, from an error of the caller's other files."""
    return error.filename is None or os.path.basename(str(error.filename)).startswith(f".{os.path.basename(path)}.")


def _os_error_in(error: BaseException | None) -> OSError | None:
    """Find the system's complaint behind an error: writers such as torch.save wrap it in their own."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error

"""Copy files and folders between the local file system and other places."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from visuite.engine.fileio.access import isdir, join_path, list_dir_or_file, make_parent
from visuite.engine.fileio.location import BackendArgs, PathLike, Remote, locate


@contextmanager
def get_local_path(filepath: PathLike, backend_args: BackendArgs = None) -> Iterator[str]:
    """Give a local path to a file; one that is elsewhere is fetched, and deleted at the end of the block."""
    place = locate(filepath, backend_args)
    if not isinstance(place, Remote):
        yield place
        return
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, PurePosixPath(place.path).name or "file")
        _copy(place, local)
        yield local


def copyfile(src: PathLike, dst: PathLike, backend_args: BackendArgs = None) -> str:
    """Copy a file, into `dst` when that is a folder, and return where it lies.

    Raises:
        shutil.SameFileError: both are the same file.
    """
    return _copyfile(src, dst, backend_args, backend_args)


def copyfile_from_local(src: PathLike, dst: PathLike, backend_args: BackendArgs = None) -> str:
    """Copy a local file to a place that `backend_args` describes, and return where it lies."""
    return _copyfile(src, dst, None, backend_args)


def copyfile_to_local(src: PathLike, dst: PathLike, backend_args: BackendArgs = None) -> str:
    """Copy a file from a place that `backend_args` describes to a local path, and return that."""
    return _copyfile(src, dst, backend_args, None)


def copytree(src: PathLike, dst: PathLike, backend_args: BackendArgs = None) -> str:
    """Copy a folder with all it holds and return the copy's path.

    Raises:
        FileExistsError: `dst` exists.
        FileNotFoundError: there is no folder `src`.
    """
    return _copytree(src, dst, backend_args, backend_args)


def copytree_from_local(src: PathLike, dst: PathLike, backend_args: BackendArgs = None) -> str:
    """Copy a local folder to a place that `backend_args` describes."""
    return _copytree(src, dst, None, backend_args)


def copytree_to_local(src: PathLike, dst: PathLike, backend_args: BackendArgs = None) -> str:
    """Copy a folder from a place that `backend_args` describes to a local path."""
    return _copytree(src, dst, backend_args, None)


def copy_if_symlink_fails(src: PathLike, dst: PathLike, backend_args: BackendArgs = None) -> bool:
    """Link `dst` to `src`, or copy where there are no links; tell whether it is a link."""
    try:
        os.symlink(os.path.abspath(src), dst)
    except (OSError, NotImplementedError):
        if isdir(src, backend_args):
            copytree(src, dst, backend_args)
        else:
            copyfile(src, dst, backend_args)
        return False
    return True


def _copyfile(src: PathLike, dst: PathLike, src_args: BackendArgs, dst_args: BackendArgs) -> str:
    if isdir(dst, dst_args):
        dst = join_path(dst, Path(os.fspath(src)).name)
    _copy(locate(src, src_args), locate(dst, dst_args))
    return os.fspath(dst)


def _copytree(src: PathLike, dst: PathLike, src_args: BackendArgs, dst_args: BackendArgs) -> str:
    if isdir(dst, dst_args):
        raise FileExistsError(f"{dst} exists already; copytree makes a new folder")
    if not isdir(src, src_args):
        raise FileNotFoundError(f"there is no folder {src}")
    source, target = locate(src, src_args), locate(dst, dst_args)
    if not isinstance(source, Remote) and not isinstance(target, Remote):
        return shutil.copytree(source, target)
    for name in list_dir_or_file(src, list_dir=False, recursive=True, backend_args=src_args):
        _copy(locate(join_path(src, name), src_args), locate(join_path(dst, name), dst_args))
    return os.fspath(dst)


def _copy(source: str | Remote, target: str | Remote) -> None:
    make_parent(target)
    if not isinstance(source, Remote) and not isinstance(target, Remote):
        shutil.copy(source, target)
        return
    with _open(source, "rb") as reader, _open(target, "wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)


def _open(place: str | Remote, mode: str) -> IO[bytes]:
    return place.fs.open(place.path, mode) if isinstance(place, Remote) else open(place, mode)

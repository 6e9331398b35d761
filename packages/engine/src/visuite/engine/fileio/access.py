"""Read, write, list and remove files wherever they are.

Every function takes a local path or a URL, and `backend_args`: `backend` names the protocol of a
path that has none ('local', 's3', ...), the rest are storage options of fsspec.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator

from visuite.engine.fileio.location import BackendArgs, PathLike, Remote, locate


def get(filepath: PathLike, backend_args: BackendArgs = None) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: no such file.
    """
    place = locate(filepath, backend_args)
    if isinstance(place, Remote):
        return place.fs.cat_file(place.path)
    with open(place, "rb") as file:
        return file.read()


def get_text(filepath: PathLike, encoding: str = "utf-8", backend_args: BackendArgs = None) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        ValueError: the bytes are not text in `encoding`.
    """
    try:
        return get(filepath, backend_args).decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{filepath} is not text in {encoding}: {error.reason} at byte {error.start}") from error


def put(obj: bytes, filepath: PathLike, backend_args: BackendArgs = None) -> None:
    """Write a file, and the folders above it where they are missing."""
    if not isinstance(obj, (bytes, bytearray, memoryview)):
        raise TypeError(f"put writes bytes, not {type(obj).__name__}; put_text writes strings")
    place = locate(filepath, backend_args)
    make_parent(place)
    if isinstance(place, Remote):
        place.fs.pipe_file(place.path, bytes(obj))
        return
    with open(place, "wb") as file:
        file.write(obj)


def put_text(obj: str, filepath: PathLike, encoding: str = "utf-8", backend_args: BackendArgs = None) -> None:
    """Write a text file, and the folders above it where they are missing."""
    put(obj.encode(encoding), filepath, backend_args)


def exists(filepath: PathLike, backend_args: BackendArgs = None) -> bool:
    """Tell whether there is a file or a folder."""
    place = locate(filepath, backend_args)
    return place.fs.exists(place.path) if isinstance(place, Remote) else os.path.exists(place)


def isdir(filepath: PathLike, backend_args: BackendArgs = None) -> bool:
    """Tell whether there is a folder."""
    place = locate(filepath, backend_args)
    return place.fs.isdir(place.path) if isinstance(place, Remote) else os.path.isdir(place)


def isfile(filepath: PathLike, backend_args: BackendArgs = None) -> bool:
    """Tell whether there is a file."""
    place = locate(filepath, backend_args)
    return place.fs.isfile(place.path) if isinstance(place, Remote) else os.path.isfile(place)


def join_path(filepath: PathLike, *filepaths: PathLike, backend_args: BackendArgs = None) -> str:
    """Join parts of a path; a later part that is a URL of its own starts anew.

    In a chained URL, the parts go to the inner path: `zip://img::a.zip` and `1.jpg` give `zip://img/1.jpg::a.zip`.
    """
    joined = os.fspath(filepath)
    for part in [os.fspath(one) for one in filepaths]:
        if "://" in part:
            joined = part
        elif "://" in joined:
            inner, chained, archive = joined.partition("::")
            inner = inner if inner.endswith("/") else f"{inner}/"
            joined = f"{inner}{part.lstrip('/')}{chained}{archive}"
        else:
            joined = os.path.join(joined, part)
    return joined


def remove(filepath: PathLike, backend_args: BackendArgs = None) -> None:
    """Delete a file.

    Raises:
        FileNotFoundError: no such file.
        IsADirectoryError: it is a folder.
    """
    place = locate(filepath, backend_args)
    if isdir(filepath, backend_args):
        raise IsADirectoryError(f"{filepath} is a folder; rmtree removes folders")
    if isinstance(place, Remote):
        place.fs.rm_file(place.path)
    else:
        os.remove(place)


def rmtree(dir_path: PathLike, backend_args: BackendArgs = None) -> None:
    """Delete a folder and all it holds."""
    place = locate(dir_path, backend_args)
    if not isinstance(place, Remote):
        shutil.rmtree(place)
    elif place.fs.isdir(place.path):
        place.fs.rm(place.path, recursive=True)
    else:
        raise FileNotFoundError(f"there is no folder {dir_path}")


def make_parent(place: str | Remote) -> None:
    """Make the folders above a place, where they are missing."""
    if isinstance(place, Remote):
        place.fs.makedirs(place.fs._parent(place.path), exist_ok=True)
    elif folder := os.path.dirname(place):
        os.makedirs(folder, exist_ok=True)


def list_dir_or_file(
    dir_path: PathLike,
    list_dir: bool = True,
    list_file: bool = True,
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    backend_args: BackendArgs = None,
) -> Iterator[str]:
    """Iterate over what a folder holds, as paths relative to it, in the order of their names.

    What begins with a dot (`.git`, `.ipynb_checkpoints`) is passed over.

    Args:
        dir_path: The folder.
        list_dir: Give folders.
        list_file: Give files.
        suffix: Only files that end so; needs `list_dir=False`.
        recursive: Go down into folders.
        backend_args: As above.

    Raises:
        FileNotFoundError: no such folder, when the first name is asked for.
    """
    if suffix is not None and list_dir:
        raise TypeError("suffix chooses among files: set list_dir=False")
    if suffix is not None and not isinstance(suffix, (str, tuple)):
        raise TypeError(f"suffix is a string or a tuple of strings, not {type(suffix).__name__}")
    place = locate(dir_path, backend_args)
    return _walk(place, "", list_dir, list_file, suffix, recursive)


def _walk(
    place: str | Remote, below: str, list_dir: bool, list_file: bool, suffix: str | tuple[str, ...] | None, deep: bool
) -> Iterator[str]:
    for name, is_dir in sorted(_entries(place)):
        if name.startswith("."):
            continue
        if list_dir if is_dir else list_file and (suffix is None or name.endswith(suffix)):
            yield below + name
        if is_dir and deep:
            yield from _walk(_child(place, name), f"{below}{name}/", list_dir, list_file, suffix, deep)


def _child(place: str | Remote, name: str) -> str | Remote:
    if isinstance(place, Remote):
        return Remote(place.fs, f"{place.path.rstrip('/')}/{name}" if place.path else name)
    return os.path.join(place, name)


def _entries(place: str | Remote) -> Iterable[tuple[str, bool]]:
    if not isinstance(place, Remote):
        with os.scandir(place) as found:
            return [(entry.name, entry.is_dir()) for entry in found]
    listed = place.fs.ls(place.path, detail=True)
    own = place.path.rstrip("/")
    rows = ((row["name"].rstrip("/"), row["type"] == "directory") for row in listed)
    return [(name.rsplit("/", 1)[-1], is_dir) for name, is_dir in rows if name != own]


def generate_presigned_url(
    url: str, client_method: str = "get_object", expires_in: int = 3600, backend_args: BackendArgs = None
) -> str:
    """Return a link that lets anybody read `url` for a while.

    Args:
        url: Where the file is, in a store that signs links (S3, Google Cloud Storage, Azure).
        client_method: What the link permits.
        expires_in: Seconds.
        backend_args: As above.

    Raises:
        ValueError: this kind of place signs no links.
    """
    place = locate(url, backend_args)
    refusal = f"{url!r}: links are signed by object stores such as s3://, gs:// and abfs://, not by this backend"
    if not isinstance(place, Remote):
        raise ValueError(refusal)
    extra = {} if client_method == "get_object" else {"client_method": client_method}
    try:
        return place.fs.sign(place.path, expiration=expires_in, **extra)
    except NotImplementedError as error:
        raise ValueError(refusal) from error

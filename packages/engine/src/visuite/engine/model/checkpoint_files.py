"""Where the files of checkpoints are: on this machine, in a mirror that the user names, or on the web."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from visuite.engine.fileio import atomic_write, get, get_local_path, is_url, join_path
from visuite.engine.logging import print_log
from visuite.engine.model.load_report import CheckpointError
from visuite.engine.utils.text import nearest

#: The environment variable that names a mirror: a folder, or a URL below which files lie by their names.
MIRROR_VARIABLE = "VISUITE_CHECKPOINTS"

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class PublishedFile:
    """A file on the web.

    Args:
        url: Its address.
        name: Its name in the cache and in mirrors; by default the last part of the address.
    """

    url: str
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.url.partition("?")[0].rpartition("/")[2])


def cache_folder() -> Path:
    """Return the folder of downloaded checkpoints, torch's own: `$TORCH_HOME/hub/checkpoints`."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def open_checkpoint(source: PublishedFile | PathLike, mirror: PathLike | None = None) -> Path | io.BytesIO:
    """Return the local path of a checkpoint file, or the bytes of one that fileio reads elsewhere.

    What was published on the web is looked for in the cache first, then in the mirror. It is downloaded into the cache
    only where there is no mirror: whoever names one wants no other place asked.

    Args:
        source: A published file, a path, or a URL.
        mirror: A folder or URL that has published files by their names; by default what `VISUITE_CHECKPOINTS` says.

    Raises:
        CheckpointError: it cannot be had; says where it was looked for, and where to put it.
    """
    if isinstance(source, PublishedFile):
        return _open_published(source, mirror or os.environ.get(MIRROR_VARIABLE))
    name = os.fspath(source)
    if name.startswith(("http://", "https://")):
        return open_checkpoint(PublishedFile(name), mirror)
    if is_url(name) and not name.startswith("file://"):
        try:
            return io.BytesIO(get(name))
        except Exception as error:
            raise CheckpointError(f"cannot read checkpoint {name!r}: {type(error).__name__}: {error}") from error
    path = Path(name.removeprefix("file://")).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no such checkpoint file: {str(path)!r}{_neighbours(path)}")
    return path


def _neighbours(path: Path) -> str:
    """Return `'; the folder has ...'` with the nearest names, or say that there is no folder."""
    if not path.parent.is_dir():
        return f"; there is no folder {str(path.parent)!r}"
    near = nearest(path.name, [one.name for one in path.parent.iterdir()])
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _open_published(file: PublishedFile, mirror: PathLike | None) -> Path:
    cached = cache_folder() / file.name
    if cached.is_file():
        return cached
    if mirror is None:
        _download(file.url, cached, file.url)
        return cached
    copy = join_path(mirror, file.name)
    if copy.startswith(("http://", "https://")):
        _download(copy, cached, file.url)
    elif is_url(copy) and not copy.startswith("file://"):
        _copy(copy, cached, file.url)
    else:
        cached = Path(copy.removeprefix("file://")).expanduser()
        if not cached.is_file():
            raise CheckpointError(
                f"the mirror {str(mirror)!r} has no file {file.name!r}{_neighbours(cached)}; put there what is "
                f"published at {file.url}, or into {str(cache_folder())!r}"
            )
    return cached


def _download(url: str, target: Path, published: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    print_log(f"downloading {url} to {target}", logger="current")
    try:
        torch.hub.download_url_to_file(url, str(target), progress=False)
    except Exception as error:
        raise _out_of_reach(url, target, published, error) from error


def _copy(url: str, target: Path, published: str) -> None:
    print_log(f"copying {url} to {target}", logger="current")
    try:
        with get_local_path(url) as local, open(local, "rb") as given, atomic_write(target) as file:
            shutil.copyfileobj(given, file)
    except Exception as error:
        raise _out_of_reach(url, target, published, error) from error


def _out_of_reach(url: str, target: Path, published: str, error: Exception) -> CheckpointError:
    where = "" if url == published else f"; it is published at {published}"
    return CheckpointError(
        f"cannot download checkpoint {url!r} ({type(error).__name__}: {error}){where}; "
        f"put the file at {str(target)!r}, or set {MIRROR_VARIABLE} to a folder or URL that has it"
    )

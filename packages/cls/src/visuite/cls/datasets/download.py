"""Fetching the archives of public data sets."""

from __future__ import annotations

import hashlib
import tarfile
import urllib.request
from pathlib import Path

from visuite.engine.dist import barrier, is_main_process
from visuite.engine.logging import print_log


def fetch_archive(url: str, folder: str, md5: str) -> None:
    """Download a tar archive into a folder, check it, and unpack it there; in one process only.

    Args:
        url: Where it is.
        folder: Made if missing.
        md5: The archive's checksum.

    Raises:
        OSError: it cannot be had; says where to put it by hand.
        ValueError: it is not the archive that was published.
    """
    if is_main_process():
        with tarfile.open(_have(url, folder, md5)) as opened:
            opened.extractall(folder, filter="data")
    barrier()


def fetch_file(url: str, folder: str, md5: str) -> None:
    """Download a file into a folder and check it; arguments and errors as of `fetch_archive`."""
    if is_main_process():
        _have(url, folder, md5)
    barrier()


def _have(url: str, folder: str, md5: str) -> Path:
    """Return the place of a file, which is downloaded if it is missing, and checked."""
    target = Path(folder, url.rsplit("/", 1)[-1])
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        _download(url, target)
    if hashlib.md5(target.read_bytes(), usedforsecurity=False).hexdigest() != md5:
        raise ValueError(f"{target} is not the published file (its MD5 differs): remove it and try again")
    return target


def _download(url: str, archive: Path) -> None:
    print_log(f"downloading {url} to {archive.parent}", "current")
    partial = archive.with_suffix(archive.suffix + ".part")
    try:
        with urllib.request.urlopen(url, timeout=30) as source, partial.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"cannot download {url} ({error}): put the file into {archive.parent} yourself") from error
    partial.replace(archive)

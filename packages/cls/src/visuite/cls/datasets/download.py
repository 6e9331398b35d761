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
        archive = Path(folder, url.rsplit("/", 1)[-1])
        archive.parent.mkdir(parents=True, exist_ok=True)
        if not archive.exists():
            _download(url, archive)
        if hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            raise ValueError(f"{archive} is not the published archive (its MD5 differs): remove it and try again")
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    barrier()


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

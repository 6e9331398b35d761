"""Text files of one record a line."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from visuite.engine.fileio.access import get_text
from visuite.engine.fileio.location import BackendArgs, PathLike


def list_from_file(
    filename: PathLike,
    prefix: str = "",
    offset: int = 0,
    max_num: int = 0,
    encoding: str = "utf-8",
    backend_args: BackendArgs = None,
) -> list[str]:
    """Return the lines of a text file without their ends.

    Args:
        filename: A local path or a URL.
        prefix: What to put before every line.
        offset: How many lines to pass over.
        max_num: How many lines to read at most; 0 reads all.
        encoding: Of the file.
        backend_args: As everywhere in fileio.
    """
    stop = offset + max_num if max_num > 0 else None
    return [prefix + line for line in islice(_lines(filename, encoding, backend_args), offset, stop)]


def dict_from_file(
    filename: PathLike,
    key_type: Callable[[str], Any] = str,
    encoding: str = "utf-8",
    backend_args: BackendArgs = None,
) -> dict[Any, str | list[str]]:
    """Return a text file of lines `key value [value ...]` as a dict; several values make a list.

    Raises:
        ValueError: a line with a key alone, or a key that `key_type` does not take.
    """
    table: dict[Any, str | list[str]] = {}
    for number, line in enumerate(_lines(filename, encoding, backend_args), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) == 1:
            raise ValueError(f"{filename}:{number}: a key and its value are expected, not {line!r}")
        try:
            key = key_type(words[0])
        except ValueError as error:
            raise ValueError(f"{filename}:{number}: {error}") from error
        table[key] = words[1] if len(words) == 2 else words[1:]
    return table


def _lines(filename: PathLike, encoding: str, backend_args: BackendArgs) -> Iterator[str]:
    # Not str.splitlines, which also splits at characters that captions may hold.
    for line in io.StringIO(get_text(filename, encoding, backend_args), newline=None):
        yield line.rstrip("\n")

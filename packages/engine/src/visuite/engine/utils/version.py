"""Versions of packages and of the code."""

from __future__ import annotations

import os
import re
import subprocess

_VERSION = re.compile(
    r"v?(?:\d+!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[._-]?(?P<stage>a|alpha|b|beta|c|rc|pre|preview|post|rev|r|dev)[._-]?(?P<number>\d*))?"
    r"(?:[._-][\w.-]*)?(?:\+[\w.-]+)?",
    re.IGNORECASE,
)
_STAGES = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "post": 1, "rev": 1, "r": 1}


def digit_version(version_str: str, length: int = 4) -> tuple[int, ...]:
    """Turn a version into integers that compare as versions do.

    `length` numbers of the release are followed by its stage (-4 dev, -3 alpha, -2 beta, -1 candidate,
    0 release, 1 post) and the stage's number: '2.1.0rc1' gives (2, 1, 0, 0, -1, 1).

    Raises:
        ValueError: not a version.
    """
    found = _VERSION.fullmatch(version_str.strip())
    if found is None:
        raise ValueError(f"{version_str!r} is not a version, such as 2.1.0 or 2.1.0rc1")
    release = [int(number) for number in found["release"].split(".")][:length]
    release += [0] * (length - len(release))
    if found["stage"] is None:
        return (*release, 0, 0)
    stage = _STAGES.get(found["stage"].lower(), -1)
    # Nightly builds of one release count as one: their numbers are dates.
    return (*release, stage, 0 if stage == -4 else int(found["number"] or 0))


def get_git_hash(fallback: str = "unknown", digits: int | None = None, folder: str | None = None) -> str:
    """Return the commit that a folder's code is at.

    Args:
        fallback: What to return where there is no git or no repository.
        digits: How much of the hash; all by default.
        folder: Inside the repository; the current one by default.
    """
    if digits is not None and not isinstance(digits, int):
        raise TypeError(f"digits is None or an int, not {type(digits).__name__}")
    command = ["git", "-C", folder or os.curdir, "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return fallback
    return done.stdout.strip()[:digits] or fallback

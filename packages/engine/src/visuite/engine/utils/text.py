"""Words for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the names in `known` that look most like `word`, best first (possibly none)."""
    names = {str(name) for name in known}
    by_case: dict[str, str] = {}
    for name in sorted(names):
        by_case.setdefault(name.lower(), name)
    found = difflib.get_close_matches(word.lower(), by_case, n=count, cutoff=0.6)
    return [by_case[key] for key in found]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `'; did you mean A or B?'`, or an empty string where nothing is near."""
    names = nearest(word, known)
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""

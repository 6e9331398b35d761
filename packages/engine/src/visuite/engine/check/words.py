"""Whether any code mentions the key of a plain dict: one that none does, nobody can read.

A dict with a `type` goes to a class, whose signature says what it takes. One without (`test_cfg`, `data_prefix`) is
read by whoever it is handed to, key by key. Which keys those are stands in no signature, but each stands in some
source.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from visuite.engine.registry import ROOTS, Registry

#: Keys in quotes, and arguments, which many a dict becomes.
_KEY = re.compile(r"""["'](\w+)["']|\b([a-z]\w*)[:=]""")
_LIKENESS = 0.8  # of a slip to what was meant
#: Our own namespace, whose packages import some of their modules late.
_OWN = "visuite"


def is_mentioned(word: str) -> bool:
    """Return whether the source of any package that has registered something mentions a word."""
    text = _text_of(_files(len(sys.modules)))
    at = text.find(word)
    while at >= 0 and (_is_letter(text[at - 1 : at]) or _is_letter(text[at + len(word) : at + len(word) + 1])):
        at = text.find(word, at + 1)
    return at >= 0


def like(word: str) -> list[str]:
    """Return the key or argument in the sources that a word is a slip of; nothing where there is none."""
    return get_close_matches(word, _keys(_files(len(sys.modules))), n=1, cutoff=_LIKENESS)


@functools.lru_cache(maxsize=2)
def _keys(files: tuple[Path, ...]) -> frozenset[str]:
    return frozenset(quoted or argument for quoted, argument in _KEY.findall(_text_of(files)))


def _is_letter(text: str) -> bool:
    return text.isalnum() or text == "_"


@functools.lru_cache(maxsize=2)
def _files(modules: int) -> tuple[Path, ...]:
    """Return the sources, anew where there are other modules than before."""
    return tuple(dict.fromkeys(_files_of(sys.modules)))


def _files_of(modules: Mapping[str, Any]) -> Iterator[Path]:
    tops = {kind.__module__.split(".")[0] for root in ROOTS.values() for kind in _registered(root)} | {_OWN}
    for name, module in list(modules.items()):
        top, _, rest = name.partition(".")
        file = getattr(module, "__file__", None)
        if top not in tops or file is None or top == "torch":
            continue
        if top != _OWN:
            yield Path(file)
        elif rest and "." not in rest:
            yield from _tree(Path(file).parent)


def _registered(registry: Registry) -> Iterator[type]:
    yield from (kind for kind in registry.module_dict.values() if hasattr(kind, "__module__"))
    for child in registry.children.values():
        yield from _registered(child)


@functools.cache
def _tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@functools.lru_cache(maxsize=2)
def _text_of(files: tuple[Path, ...]) -> str:
    return "\n".join(map(_text, files))


@functools.cache
def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.suffix == ".py" else ""
    except OSError:
        return ""

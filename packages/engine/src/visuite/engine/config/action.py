"""`--cfg-options key=value ...` on a command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

_PAIRS = {"[": "]", "(": ")"}


class DictAction(argparse.Action):
    """Collects `KEY=VALUE` arguments into a dict, for `Config.merge_from_dict`.

    A value is a number, `True`, `None` or text; `KEY=V1,V2` and `KEY=[V1,V2]` are lists, `KEY=(V1,V2)`
    is a tuple, and they nest: `KEY=[(V1,V2),(V3,V4)]`. Quotes keep text together: `KEY="'a,b'"`. A key
    may lead into lists: `pipeline.0.scale=(640,640)`.

    Example:
        >>> parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for item in [values] if isinstance(values, str) else (values or []):
            key, equals, text = str(item).partition("=")
            if not equals or not key:
                raise argparse.ArgumentError(self, f"{item!r} is not KEY=VALUE")
            try:
                options[key.strip()] = parse_option(text)
            except ValueError as error:
                raise argparse.ArgumentError(self, f"{item}: {error}") from None
        setattr(namespace, self.dest, options)


def parse_option(text: str) -> Any:
    """Return the value that an option's text stands for.

    Raises:
        ValueError: brackets or quotes do not match.
    """
    text = text.strip()
    inner = _unquoted(text)
    if inner is not None:
        return parse_option(inner) if inner[:1] in _PAIRS else inner
    parts = _split(text)
    if len(parts) > 1:
        return [parse_option(part) for part in parts if part.strip()]
    if text[:1] in _PAIRS:
        if text[-1] != _PAIRS[text[0]]:
            raise ValueError(f"{text[0]!r} is not closed")
        items = [parse_option(part) for part in _split(text[1:-1]) if part.strip()]
        return tuple(items) if text[0] == "(" else items
    return _scalar(text)


def _unquoted(text: str) -> str | None:
    """Return what stands between the quotes around all of a text, or None."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0] or text[0] in text[1:-1]:
        return None
    return text[1:-1]


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no brackets or quotes."""
    parts, closing, start, quote = [], [], 0, ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and text[:index].rstrip()[-1:] in ("", ",", *_PAIRS):
            quote = char  # a quote at the beginning of a value; elsewhere it is an apostrophe
        elif char in _PAIRS:
            closing.append(_PAIRS[char])
        elif char in _PAIRS.values() and (not closing or closing.pop() != char):
            raise ValueError(f"{char!r} closes nothing")
        elif char == "," and not closing:
            parts.append(text[start:index])
            start = index + 1
    if closing or quote:
        raise ValueError(f"{closing[-1] if closing else quote!r} is missing")
    return [*parts, text[start:]]


def _scalar(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text == "None":
        return None
    return {"true": True, "false": False}.get(text.lower(), text)

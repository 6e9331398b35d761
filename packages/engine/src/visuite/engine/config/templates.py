"""The `{{...}}` of configs: facts about the file, environment variables, and values of the bases."""

from __future__ import annotations

import ast
import json
import os
import os.path as osp
import re
from typing import Any

_FACTS = ("fileDirname", "fileBasename", "fileBasenameNoExtension", "fileExtname")
_FACT = re.compile(r"\{\{\s*(" + "|".join(_FACTS) + r")\s*\}\}")
_ENVIRONMENT = re.compile(r"\{\{\s*\$\s*(\w+)\s*(?::\s*(.*?)\s*)?\}\}")
_BARE_ENVIRONMENT = re.compile(r"\s*\$\s*(\w+)\s*(?::\s*(.*?)\s*)?")
_IN_FSTRING = re.compile(r"\{\s*(?:\$[^{}]*|_base_\.[\w.]+|" + "|".join(_FACTS) + r")\s*\}")
_BASE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
_ANY = re.compile("|".join(pattern.pattern for pattern in (_FACT, _ENVIRONMENT, _BASE)))
_TOKEN = "\ue000"  # a character that no text uses
_PYTHON_LEXEME = re.compile(
    r"#[^\n]*|'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
    r"|(?P<template>\{\{\s*\$.*?\}\})",
    re.DOTALL,
)
_TEXT_LEXEME = re.compile(
    r"\"(?:\\.|[^\"\\])*\"|(?<!\w)'(?:[^']|'')*'|(?P<template>(?<![^\s:\[,-])\{\{\s*[$\w].*?\}\}(?=\s*(?:[,\]}\n#]|$)))",
    re.DOTALL,
)


class MissingVariableError(Exception):
    """A template names something that is not there."""


class Templates:
    """Fills in the templates of one file.

    Args:
        filename: The file's absolute path; None for a config from a string.
        use_predefined_variables: Whether `{{fileDirname}}` and its like are filled in.
        use_environment_variables: Whether `{{$NAME:default}}` is filled in.
    """

    def __init__(
        self, filename: str | None, *, use_predefined_variables: bool = True, use_environment_variables: bool = True
    ) -> None:
        self._use_facts = use_predefined_variables and filename is not None
        self._use_environment = use_environment_variables
        self._facts = _facts_of(filename) if filename is not None else {}
        self._token = _TOKEN
        self._templates: list[str] = []
        self.environment: dict[str, str] = {}

    def fact(self, name: str) -> str | None:
        """Return a predefined variable, or None for another name."""
        return self._facts.get(name) if self._use_facts else None

    def fill(self, text: str, base: Any = None) -> Any:
        """Fill in the templates of a string; one that is nothing but `{{_base_.x}}` becomes that value.

        Raises:
            MissingVariableError: an environment variable without default, or a key of the bases, is not there.
        """
        if "{{" not in text:
            return text
        if base is not None:
            whole = _BASE.fullmatch(text)
            if whole:
                return value_at(base, whole[1])
            text = _BASE.sub(lambda m: str(value_at(base, m[1])), text)
        if self._use_facts:
            text = _FACT.sub(lambda m: self._facts[m[1]], text)
        if self._use_environment:
            text = _ENVIRONMENT.sub(lambda m: self._variable(m[1], m[2]), text)
        return text

    def fill_in_fstring(self, text: str, base: Any = None) -> str:
        """Fill in the templates of an f-string's own text, where Python has made one brace of two."""
        if "{" not in text:
            return text

        def replace(match: re.Match[str]) -> str:
            doubled = f"{{{match[0]}}}"
            filled = str(self.fill(doubled, base))
            return match[0] if filled == doubled else filled

        return _IN_FSTRING.sub(replace, text)

    def typed_variable(self, text: str) -> Any:
        """Return the value that `$NAME:default` stands for outside of quotes: a literal, or else text."""
        match = _BARE_ENVIRONMENT.fullmatch(text) if self._use_environment else None
        if match is None:
            raise MissingVariableError(f"{{{{{text}}}}} is no variable")
        value = self._variable(match[1], match[2])
        try:
            return ast.literal_eval(value) if len(value) < 1000 else value
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value

    def _variable(self, name: str, default: str | None) -> str:
        value = os.environ.get(name, default)
        if not value and name not in os.environ:
            raise MissingVariableError(f"the environment variable {name!r} is not set and has no default here")
        self.environment[name] = str(value)
        return str(value)

    def quote_in_python(self, source: str) -> str:
        """Put quotes into bare `{{$NAME:1}}`, so that the file parses."""

        def quote(match: re.Match[str]) -> str:
            template = match["template"]
            return f"{{{{{template[2:-2].strip()!r}}}}}" if template else match[0]

        return _PYTHON_LEXEME.sub(quote, source) if "{{" in source else source

    def tokenise(self, source: str) -> str:
        """Put tokens in place of the templates of a YAML or JSON file, so that it parses; `fill_tree` fills them in.

        Bare templates become quoted tokens, and bare environment variables become literals.
        """
        while self._token in source:
            self._token += _TOKEN
        source = _TEXT_LEXEME.sub(lambda m: self._bare(m[0]) if m["template"] else self._tokens_in(m[0]), source)
        return self._tokens_in(source)

    def _tokens_in(self, text: str) -> str:
        return _ANY.sub(lambda m: self._new_token(m[0]), text) if "{{" in text else text

    def _new_token(self, template: str) -> str:
        self._templates.append(template)
        return f"{self._token}{len(self._templates) - 1};"

    def _bare(self, template: str) -> str:
        if not self._use_environment or not _ENVIRONMENT.fullmatch(template):
            return json.dumps(self._new_token(template), ensure_ascii=False)
        value = self.typed_variable(template[2:-2])
        return json.dumps(value) if isinstance(value, (str, int, float, bool, list, dict, type(None))) else str(value)

    def fill_tree(self, value: Any, base: Any) -> Any:
        """Fill in the tokens in all strings of a parsed YAML or JSON file, in place where it is a container."""
        if isinstance(value, str):
            return self._fill_tokens(value, base) if self._token in value else value
        if isinstance(value, dict):
            for key in value:
                dict.__setitem__(value, key, self.fill_tree(value[key], base))
        elif isinstance(value, list):
            value[:] = [self.fill_tree(item, base) for item in value]
        return value

    def _fill_tokens(self, text: str, base: Any) -> Any:
        token = re.compile(f"{self._token}(\\d+);")
        whole = token.fullmatch(text)
        if whole:
            return self.fill(self._templates[int(whole[1])], base)
        return token.sub(lambda m: str(self.fill(self._templates[int(m[1])], base)), text)


def holds_template(text: str) -> bool:
    """Tell whether a text has a template in it."""
    return "{{" in text and _ANY.search(text) is not None


def _facts_of(filename: str) -> dict[str, str]:
    name = osp.basename(filename)
    stem, extension = osp.splitext(name)
    values = (osp.dirname(filename), name, stem, extension)
    return {key: value.replace("\\", "/") for key, value in zip(_FACTS, values, strict=True)}


def value_at(tree: Any, path: str) -> Any:
    """Return the value at a dotted path.

    Raises:
        MissingVariableError: there is none.
    """
    value = tree
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, (list, tuple)) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise MissingVariableError(f"the bases have no value {path!r}") from None
    return value

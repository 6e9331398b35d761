"""Key maps as tables: patterns of the names that others give to weights, and the names here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visuite.engine.model import CheckpointError

#: A regular expression, and what stands in place of what it finds.
Rule = tuple[str, str | Callable[[re.Match[str]], str]]
Rules = Sequence[Rule]

_PIECE = re.compile(r"#(\d)$")
_SPLIT = re.compile(r"\{([\w,]+)\}")


@dataclass(frozen=True)
class Renaming:
    """A `KeyMap` made of rules, which are applied to a name one after the other.

    A name that ends in `#0`, `#1`, ... is a piece: the pieces of one name are joined along the first dimension. A name
    with `{q,k,v}` is that of several weights, which lie one behind the other along it. Weights whose shape differs from
    that here by dimensions of size 1 alone (linear layers and 1x1 convolutions) take on the shape here.

    Args:
        sources: Whose names these are: `('torchvision', 'timm')`.
        signature: Finds a name in every such file, and in no file with the names here.
        rules: The rules, or a function that makes them for a module and the names in a file.
        left_out: Finds names of weights that may have no place in the module, such as those of a classifier.
        values: For names here, what is to be done with the values.
    """

    sources: tuple[str, ...]
    signature: str
    rules: Rules | Callable[[Any, Collection[str]], Rules] = ()
    left_out: str = r"(?!)"
    values: Sequence[tuple[str, Callable[[Tensor], Tensor]]] = ()

    def fits(self, module: nn.Module, names: Collection[str]) -> bool:
        """Tell whether a file with these names is of this kind, and the module wants it to be recognised."""
        return getattr(module, "convert_weights", True) and any(re.search(self.signature, name) for name in names)

    def convert(self, module: nn.Module, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Return the weights by the names here, and the names of those that were left out.

        Raises:
            CheckpointError: two weights get one name.
        """
        rules = self.rules(module, state) if callable(self.rules) else self.rules
        own = module.state_dict()
        pieces: dict[str, dict[int, Tensor]] = defaultdict(dict)
        left_out = []
        for name, value in state.items():
            targets = list(_targets(rename(name, rules), value))
            if re.search(self.left_out, name) and not any(new in own for new, _, _ in targets):
                left_out.append(name)
                continue
            for new, place, part in targets:
                if place in pieces[new]:
                    raise CheckpointError(f"names of {self.sources[0]} give two weights the name {new!r}: {name!r}")
                pieces[new][place] = part
        return {new: self._value(new, found, own) for new, found in pieces.items()}, left_out

    def _value(self, name: str, pieces: Mapping[int, Tensor], own: Mapping[str, Tensor]) -> Tensor:
        value = pieces[0] if len(pieces) == 1 else torch.cat([pieces[place] for place in sorted(pieces)])
        for pattern, change in self.values:
            if re.search(pattern, name):
                value = change(value)
        wanted = own[name].shape if name in own else value.shape
        fits = value.shape != wanted and [n for n in value.shape if n > 1] == [n for n in wanted if n > 1]
        return value.reshape(wanted) if fits else value


def rename(name: str, rules: Rules) -> str:
    """Apply rules to a name, one after the other."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _targets(name: str, value: Tensor) -> Iterator[tuple[str, int, Tensor]]:
    """Yield (name, place among its pieces, value) of what a renamed weight holds."""
    several = _SPLIT.search(name)
    if several is not None:
        names = several[1].split(",")
        for one, part in zip(names, value.chunk(len(names)), strict=True):
            yield _SPLIT.sub(one, name), 0, part
        return
    piece = _PIECE.search(name)
    yield (name, 0, value) if piece is None else (name[: piece.start()], int(piece[1]), value)


def moved(places: Mapping[str, str]) -> Rule:
    """Return the rule that puts what lies below one module (the key) below another."""
    longest_first = sorted(places, key=len, reverse=True)
    return rf"^({'|'.join(map(re.escape, longest_first))})(?=\.)", lambda found: places[found[1]]


def numbers(names: Collection[str], pattern: str) -> list[tuple[int, ...]]:
    """Return the numbers that a pattern finds in names, each once, in order."""
    found = (re.search(pattern, name) for name in names)
    return sorted({tuple(int(one) for one in match.groups()) for match in found if match is not None})


def less(name: str, by: int = 1) -> Callable[[re.Match[str]], str]:
    """Return a replacement: `name`, where `{}` stands for the numbers found, less than there by `by`."""
    return lambda found: name.format(*(int(one) - by for one in found.groups()))

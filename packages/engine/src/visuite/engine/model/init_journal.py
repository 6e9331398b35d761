"""Who initialised which weight: kept while a model's weights are initialised, then written to the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn

from visuite.engine.logging import print_log

UNTOUCHED = "as its class initialises it"


def _fingerprint(parameter: Tensor) -> tuple[Any, ...]:
    """Tell cheaply whether a parameter was written to.

    Its version counts what was written to it; writing to `.data` does not count, so a few values go along.
    """
    if parameter.is_meta or not parameter.numel():
        return (parameter._version,)
    flat = parameter.detach().reshape(-1)
    return (parameter._version, *flat[:: max(1, flat.numel() // 4)][:5].tolist())


class InitJournal:
    """What initialised each parameter of one model.

    Args:
        model: The outermost module.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._seen = {id(p): _fingerprint(p) for p in model.parameters()}
        self._said = {id(p): UNTOUCHED for p in model.parameters()}
        self.pretrained_above = 0

    def note(self, module: nn.Module, what: str) -> None:
        """Put down `what` for the parameters of `module` that have changed since the last note."""
        for parameter in module.parameters():
            now = _fingerprint(parameter)
            if self._seen.get(id(parameter)) != now:
                self._seen[id(parameter)] = now
                self._said[id(parameter)] = what

    def lines(self) -> Iterator[str]:
        """Yield one line per parameter."""
        for name, parameter in self._model.named_parameters():
            yield f"{name} {list(parameter.shape)}: {self._said.get(id(parameter), UNTOUCHED)}"


_journal: ContextVar[InitJournal | None] = ContextVar("_journal", default=None)


@contextmanager
def init_journal(module: nn.Module) -> Iterator[InitJournal]:
    """Open a journal for the outermost module; inside it, give that one to the modules below."""
    outer = _journal.get()
    if outer is not None:
        yield outer
        return
    journal = InitJournal(module)
    token = _journal.set(journal)
    try:
        yield journal
    finally:
        _journal.reset(token)
    text = "\n".join(journal.lines())
    print_log(f"initialisation of {type(module).__name__}:\n{text}", logger="current", level=logging.DEBUG)


def update_init_info(module: nn.Module, init_info: str) -> None:
    """Note for the log that the parameters of `module` which have just changed were changed by `init_info`."""
    journal = _journal.get()
    if journal is not None:
        journal.note(module, init_info)

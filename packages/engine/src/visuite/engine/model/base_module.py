"""Modules that initialise their weights as `init_cfg` says."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from visuite.engine.model.init_journal import InitJournal, init_journal
from visuite.engine.model.weight_init import initialize

InitCfg = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class BaseModule(nn.Module):
    """A module whose weights are initialised by configs, once, when `init_weights` is called on the whole model.

    The order: the module's own `init_cfg`; then its children, whose wishes are narrower and win; then the
    module's `Pretrained` checkpoint, which wins over all. Children of a module with a checkpoint
    are initialised too (it may lack their weights), but do not fetch checkpoints of their own.

    Args:
        init_cfg: One config or a list of them: `dict(type='Kaiming', layer='Conv2d')`.
    """

    def __init__(self, init_cfg: InitCfg = None) -> None:
        super().__init__()
        self._is_init = False
        self.init_cfg = copy.deepcopy(init_cfg)

    @property
    def is_init(self) -> bool:
        """Whether the weights were initialised."""
        return self._is_init

    @is_init.setter
    def is_init(self, value: bool) -> None:
        self._is_init = value

    def init_weights(self) -> None:
        """Initialise the weights here and below; a second call does nothing but warn.

        Raises:
            CheckpointError: a pretrained file cannot be had, or does not fit.
        """
        if self._is_init:
            warnings.warn(f"init_weights of {type(self).__name__} was called before; nothing is done", stacklevel=2)
            return
        drawn, pretrained = _split(self.init_cfg)
        with init_journal(self) as journal:
            if drawn:
                initialize(self, drawn)
            self._init_children(journal, below_checkpoint=bool(pretrained))
            if pretrained and not journal.pretrained_above:
                initialize(self, pretrained)
            self._is_init = True

    def _init_children(self, journal: InitJournal, *, below_checkpoint: bool) -> None:
        journal.pretrained_above += below_checkpoint
        try:
            for child in _initialisable(self):
                if not getattr(child, "is_init", False):
                    child.init_weights()
                    journal.note(child, f"init_weights of {type(child).__name__}")
        finally:
            journal.pretrained_above -= below_checkpoint

    def __repr__(self) -> str:
        text = super().__repr__()
        return f"{text}\ninit_cfg={self.init_cfg}" if self.init_cfg else text


def _split(init_cfg: InitCfg) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the configs that draw weights, and those that load them."""
    configs = [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or ())
    for one in configs:
        if not isinstance(one, Mapping):
            raise TypeError(f"init_cfg is a dict or a list of dicts, not {one!r}")
    loads = [one.get("type") in ("Pretrained", "PretrainedInit") for one in configs]
    return (
        [one for one, load in zip(configs, loads, strict=True) if not load],
        [one for one, load in zip(configs, loads, strict=True) if load],
    )


def _initialisable(module: nn.Module) -> Iterator[Any]:
    """Yield the nearest modules below that can initialise themselves, looking through plain ones."""
    for child in module.children():
        if callable(getattr(child, "init_weights", None)):
            yield child
        else:
            yield from _initialisable(child)


class Sequential(BaseModule, nn.Sequential):
    """`nn.Sequential` with an `init_cfg`."""

    def __init__(self, *args: Any, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.Sequential.__init__(self, *args)


class ModuleList(BaseModule, nn.ModuleList):
    """`nn.ModuleList` with an `init_cfg`."""

    def __init__(self, modules: Iterable[nn.Module] | None = None, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleList.__init__(self, modules)


class ModuleDict(BaseModule, nn.ModuleDict):
    """`nn.ModuleDict` with an `init_cfg`."""

    def __init__(self, modules: Mapping[str, nn.Module] | None = None, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleDict.__init__(self, modules)

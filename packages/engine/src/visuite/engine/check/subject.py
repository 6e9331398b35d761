"""What task packages check for themselves, and what they are given for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from visuite.engine.check.finding import Findings
from visuite.engine.config import Config
from visuite.engine.registry import DATASETS
from visuite.engine.registry.scope import canonical_scope

#: Keys of wrappers that hold the wrapped data set.
_INNER = ("dataset", "datasets")


@dataclass
class Subject:
    """A config under examination, and what was made of it so far.

    Args:
        cfg: The config.
        findings: Takes what is wrong: `subject.findings.error("model.head", "...")`.
        model: The model, on the meta device; None before anything is built.
        datasets: The data sets by loader (`'train_dataloader'`), as far as they were built.
    """

    cfg: Config
    findings: Findings
    model: nn.Module | None = None
    datasets: dict[str, Any] = field(default_factory=dict)

    def classes(self, loader: str) -> tuple[str, ...] | None:
        """Return the names of the classes of a loader's data, or None where they are not known (yet).

        They are those of the data set, if it was built, else those of its config or its class's `METAINFO`.
        """
        built = self.datasets.get(loader)
        if built is not None:
            return _names(getattr(built, "metainfo", None))
        config = self.cfg.get(loader)
        return _names_in(config.get("dataset")) if isinstance(config, Mapping) else None


def _names_in(cfg: Any) -> tuple[str, ...] | None:
    if not isinstance(cfg, Mapping):
        return None
    for key in _INNER:
        if key in cfg and "metainfo" not in cfg:
            inner = cfg[key]
            return _names_in(inner[0] if isinstance(inner, (list, tuple)) and inner else inner)
    kind = cfg.get("type")
    with DATASETS.switch_scope_and_registry(cfg.get("_scope_")) as registry:
        found = registry.get(kind) if isinstance(kind, str) else kind
    own = {"classes": cfg["classes"]} if cfg.get("classes") is not None else {}
    given = cfg.get("metainfo")
    return _names({**getattr(found, "METAINFO", {}), **(given if isinstance(given, Mapping) else {}), **own})


def _names(metainfo: Any) -> tuple[str, ...] | None:
    names = metainfo.get("classes") if isinstance(metainfo, Mapping) else None
    return tuple(names) if isinstance(names, (list, tuple)) else None


Check = Callable[[Subject], None]
_checks: dict[str, list[Check]] = {}


def register_check(scope: str, function: Check) -> Check:
    """Have a function look at every config whose `default_scope` this is.

    A package does this in its module `check`, which is imported when a config of its scope is first checked. The
    function is called after the general checks: once before anything is built, and again with the model and the data
    where those are built. What it finds twice is told once.

    Args:
        scope: The scope.
        function: Takes a `Subject` and adds to its findings.
    """
    _checks.setdefault(canonical_scope(scope), []).append(function)
    return function


def run_checks(subject: Subject, scope: str) -> None:
    """Call the checks of a scope."""
    for function in _checks.get(canonical_scope(scope), ()):
        function(subject)

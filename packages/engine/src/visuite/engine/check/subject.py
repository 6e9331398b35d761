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

    def classes(self, loader: str, key: str = "classes") -> tuple[str, ...] | None:
        """Return the names of the classes of a loader's data, or None where they are not known (yet).

        They are those of the data set, if it was built, else those of its config or its class's `METAINFO`.

        Args:
            loader: Such as `'train_dataloader'`.
            key: Under which the data set has the names, where it has several lists: `'thing_classes'`.
        """
        return _names(self.metainfo(loader), key)

    def metainfo(self, loader: str) -> Mapping[str, Any]:
        """Return what is known of a loader's data, as far as it was built or its config tells."""
        built = self.datasets.get(loader)
        if built is not None:
            return getattr(built, "metainfo", None) or {}
        config = self.cfg.get(loader)
        return _facts_in(config.get("dataset")) if isinstance(config, Mapping) else {}


def innermost_dataset(cfg: Any, path: str = "") -> tuple[Any, str]:
    """Return the config of the first data set inside wrappers that tell nothing of their own, and its path."""
    while isinstance(cfg, Mapping) and "metainfo" not in cfg:
        key = next((key for key in _INNER if key in cfg), None)
        if key is None:
            break
        cfg, path = cfg[key], f"{path}.{key}"
        if isinstance(cfg, (list, tuple)) and cfg:
            cfg, path = cfg[0], f"{path}.0"
    return cfg, path


def _facts_in(cfg: Any) -> Mapping[str, Any]:
    cfg, _ = innermost_dataset(cfg)
    if not isinstance(cfg, Mapping):
        return {}
    kind = cfg.get("type")
    with DATASETS.switch_scope_and_registry(cfg.get("_scope_")) as registry:
        found = registry.get(kind) if isinstance(kind, str) else kind
    own = {"classes": cfg["classes"]} if cfg.get("classes") is not None else {}
    given = cfg.get("metainfo")
    return {**getattr(found, "METAINFO", {}), **(given if isinstance(given, Mapping) else {}), **own}


def _names(metainfo: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    names = metainfo.get(key)
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

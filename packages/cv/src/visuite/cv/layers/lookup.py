"""From a layer's config name to its class. Layers take positional arguments, so `MODELS.build` does not fit them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from visuite.engine.registry import MODELS


def layer_class(cfg: Mapping[str, Any]) -> Any:
    """Return the class that `cfg['type']` names.

    Raises:
        KeyError: no type, or one that is not registered; says the nearest names.
    """
    kind = cfg.get("type")
    if callable(kind):
        return kind
    if not isinstance(kind, str):
        raise KeyError(f"a layer's config needs a type, this is {cfg}")
    with MODELS.switch_scope_and_registry(None) as registry:
        found = registry.get(kind)
        if found is None:
            raise KeyError(registry.explain_missing(kind))
    return found


def build_layer(cfg: Mapping[str, Any], *args: Any, **kwargs: Any) -> nn.Module:
    """Build a layer from its config and its own first arguments."""
    extra = {key: value for key, value in cfg.items() if key != "type"}
    return layer_class(cfg)(*args, **kwargs, **extra)


def takes_argument(kind: Any, name: str) -> bool:
    """Whether a class's constructor takes an argument of this name."""
    return name in inspect.signature(kind).parameters

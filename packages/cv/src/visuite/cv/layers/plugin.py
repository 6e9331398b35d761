"""Layers that are plugged into the blocks of a backbone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from visuite.cv.layers.lookup import layer_class


def plugin_abbreviation(kind: type) -> str:
    """Return the prefix of a plugin's name in state dicts: its own `_abbr_`, or its class name in snake case."""
    own = getattr(kind, "_abbr_", None)
    if own is not None:
        return own
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", kind.__name__)
    return re.sub(r"([a-z\d])([A-Z])", r"\1_\2", words).lower()


def build_plugin_layer(cfg: dict[str, Any], postfix: int | str = "", **kwargs: Any) -> tuple[str, nn.Module]:
    """Build a plugin.

    Args:
        cfg: `dict(type='ContextBlock', **arguments)`.
        postfix: Goes behind the name.
        **kwargs: More arguments: `in_channels`.

    Returns:
        The name it bears in state dicts, and the layer.
    """
    kind = layer_class(cfg)
    arguments = {**kwargs, **{key: value for key, value in cfg.items() if key != "type"}}
    return f"{plugin_abbreviation(kind)}{postfix}", kind(**arguments)


def plugins_of_stage(
    plugins: Sequence[Mapping[str, Any]] | None, index: int, num_stages: int
) -> tuple[Mapping[str, Any], ...]:
    """Return those of a backbone's plugins that a stage has.

    Args:
        plugins: `dict(cfg=..., stages=(bool, ...))` each; all stages have one without `stages`.
        index: The stage, counted from 0.
        num_stages: How many stages there are.

    Raises:
        ValueError: `stages` has too few entries.
    """
    found = []
    for plugin in plugins or ():
        stages = plugin.get("stages")
        if stages is not None and len(stages) < num_stages:
            raise ValueError(f"a plugin's stages {tuple(stages)} has fewer entries than the {num_stages} stages")
        if stages is None or stages[index]:
            found.append(plugin)
    return tuple(found)

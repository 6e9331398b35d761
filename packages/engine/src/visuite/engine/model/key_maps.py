"""Checkpoints whose names for weights are not a module's own: recognised, and mapped to its names.

What maps the names of one kind of file to those of one class of modules is a `KeyMap`, registered for the class.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from visuite.engine.model.load_report import CheckpointError
from visuite.engine.utils.text import did_you_mean

#: The `key_map` that leaves all names as they are.
OWN = "own"


class KeyMap(Protocol):
    """Maps the names that somebody gives to weights to those of a class of modules."""

    @property
    def sources(self) -> Collection[str]:
        """Whose names they are: `('torchvision', 'timm')`."""
        ...

    def fits(self, module: nn.Module, names: Collection[str]) -> bool:
        """Tell whether a file with these names is of this kind."""
        ...

    def convert(self, module: nn.Module, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Return the weights by the module's names, and the names of those that have no place in it."""
        ...


@dataclass(frozen=True)
class Conversion:
    """The weights of a file by the names of the module that is to have them.

    Args:
        state_dict: These weights.
        sources: Whose names were mapped, one entry for each map that was applied; none where the names were its own.
        left_out: Names of weights that have no place in the module, such as those of a classifier.
    """

    state_dict: OrderedDict[str, Tensor]
    sources: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


_key_maps: dict[type[nn.Module], list[KeyMap]] = {}


def register_key_map(kind: type[nn.Module], key_map: KeyMap) -> None:
    """Let modules of this class, and of those derived from it, read checkpoints with other names.

    Maps of base classes come first, then the order is that of registration.
    """
    _key_maps.setdefault(kind, []).append(key_map)


def key_maps_of(module: nn.Module) -> list[KeyMap]:
    """Return the maps that are registered for a module."""
    return [key_map for kind in reversed(type(module).__mro__) for key_map in _key_maps.get(kind, ())]


def known_sources(module: nn.Module) -> list[str]:
    """Return whose names a module or its parts can read, beside their own."""
    found = (source for part in module.modules() for key_map in key_maps_of(part) for source in key_map.sources)
    return list(dict.fromkeys(found))


def convert_state_dict(module: nn.Module, state_dict: Mapping[str, Tensor], key_map: str | None = None) -> Conversion:
    """Return the weights of a checkpoint by a module's own names, if need be mapped from those of others.

    Parts of the module are looked at too, each with the weights below its name.

    Args:
        module: What is to have the weights.
        state_dict: Weights, by whatever names.
        key_map: Whose names they are (`'torchvision'`); by default that is seen from the names. `'own'` maps nothing.

    Raises:
        CheckpointError: no names of this source are known for the module, or the file does not have them.
    """
    state: OrderedDict[str, Tensor] = OrderedDict(state_dict)
    if hasattr(state_dict, "_metadata"):
        state._metadata = state_dict._metadata  # type: ignore[attr-defined]
    result = Conversion(state)
    if key_map == OWN:
        return result
    for prefix, part in module.named_modules():
        for one in key_maps_of(part):
            if key_map is None or key_map in one.sources:
                _apply(one, part, f"{prefix}." if prefix else "", result, key_map)
    if key_map is not None and key_map not in result.sources:
        name, known = type(module).__name__, known_sources(module)
        if key_map not in known:
            raise CheckpointError(f"{name} reads no names of {key_map!r}{did_you_mean(key_map, known)}")
        raise CheckpointError(f"the names are not those of {key_map!r}, as {name} knows them: {_some(state_dict)}")
    return result


def _apply(key_map: KeyMap, part: nn.Module, prefix: str, result: Conversion, wanted: str | None) -> None:
    """Map what lies below a part's name, where the map fits."""
    state = result.state_dict
    below = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    if not below or not key_map.fits(part, below):
        return
    converted, left_out = key_map.convert(part, below)
    for name in below:
        del state[prefix + name]
    state.update({prefix + name: value for name, value in converted.items()})
    result.left_out.extend(prefix + name for name in left_out)
    result.sources.append(wanted or " or ".join(key_map.sources))


def _some(names: Collection[Any]) -> str:
    return ", ".join(list(map(str, names))[:3]) + (", ..." if len(names) > 3 else "")

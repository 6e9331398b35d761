"""Whether a head fits what stands before it, asked when a model is built."""

from __future__ import annotations

from torch import nn

from visuite.cv.necks.base import MapSpec, told_maps


def check_inputs(heads: dict[str, nn.Module], backbone: nn.Module, neck: nn.Module | None) -> None:
    """Hold the channels that heads are made for against those of the maps they will get, where somebody tells them.

    Args:
        heads: By name; a head tells `in_index` and `map_channels`.
        backbone: It tells `out_channels`.
        neck: Likewise, if there is one.

    Raises:
        ValueError: a head is made for other channels, or for a map that is not there.
    """
    given = told_maps(backbone, neck)
    if given is not None:
        source = type(backbone if neck is None else neck).__name__
        for name, head in heads.items():
            _check_head(name, head, given, source)


def _check_head(name: str, head: nn.Module, given: MapSpec, source: str) -> None:
    indices, wanted = getattr(head, "in_index", None), getattr(head, "map_channels", None)
    if indices is None or wanted is None:
        return
    for index, channels in zip([indices] if isinstance(indices, int) else indices, wanted, strict=True):
        count = len(given.channels)
        if not -count <= index < count:
            raise ValueError(f"{name}.in_index asks for map {index}, but {source} gives {count} maps")
        if channels != given.channels[index]:
            raise ValueError(
                f"{name}.in_channels is {channels} for map {index}, but {source} gives {given.channels[index]} channels"
            )

"""What necks tell of the maps they take and hand out, so that parts that do not fit fail when a model is built.

A neck is made for maps of certain channels, `in_channels`, and hands out maps of others, `out_channels`: a tuple each,
one entry for each map, in the order in which the maps come and go. `out_strides` says how the strides go on. Backbones
tell `out_channels` and `out_strides` of their maps; `told_maps` follows both to what a head will get.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from visuite.engine.model import BaseModule


@dataclass(frozen=True)
class MapSpec:
    """What is known of maps before there are any.

    Attributes:
        channels: Of each map.
        strides: Input pixels per pixel of each map; None where nobody tells.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...] | None = None


class Neck(BaseModule):
    """Maps to maps, between a backbone and a head.

    A subclass sets both attributes, says how strides go on, and begins `forward` with `check_maps`.

    Args:
        init_cfg: How weights are initialised.

    Attributes:
        in_channels: The channels of each map that it takes.
        out_channels: The channels of each map that it hands out.
    """

    in_channels: tuple[int, ...]
    out_channels: tuple[int, ...]

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of the maps handed out, from those of the maps taken."""
        raise NotImplementedError(f"{type(self).__name__} does not tell the strides of its maps")

    def check_maps(self, maps: Sequence[torch.Tensor]) -> None:
        """Compare how many maps have come with how many are taken.

        Raises:
            ValueError: these differ.
        """
        if len(maps) != len(self.in_channels):
            raise ValueError(
                f"{type(self).__name__} takes maps of {self.in_channels} channels, but {len(maps)} have come"
            )


def told_maps(backbone: nn.Module, neck: nn.Module | None = None) -> MapSpec | None:
    """Return what a head gets, or None where the backbone or the neck does not tell.

    Args:
        backbone: It tells by `out_channels` and `out_strides`.
        neck: A `Neck`, one that sets `keeps_channels` (it changes sizes alone), or a `Sequential` of such.

    Raises:
        ValueError: a neck is made for other maps than it gets.
    """
    channels = _numbers(getattr(backbone, "out_channels", None))
    given = None if channels is None else MapSpec(channels, _numbers(getattr(backbone, "out_strides", None)))
    before = backbone
    for one in neck if isinstance(neck, nn.Sequential) else [] if neck is None else [neck]:
        given, before = _handed_on(given, before, one), one
    return given


def check_head(head: nn.Module, given: MapSpec | None) -> None:
    """Compare the `in_channels` of a head, one for all maps or one for each, with what it gets.

    Raises:
        ValueError: these differ.
    """
    wanted: Any = getattr(head, "in_channels", None)
    if given is None or wanted is None:
        return
    expected = (wanted,) * len(given.channels) if isinstance(wanted, int) else tuple(wanted)
    if expected != given.channels:
        raise ValueError(
            f"in_channels of the head {type(head).__name__} is {wanted}, but it gets maps of {given.channels} channels"
        )


def _handed_on(given: MapSpec | None, before: nn.Module, neck: nn.Module) -> MapSpec | None:
    """Return what a neck makes of the maps that the part before it gives."""
    if getattr(neck, "keeps_channels", False):
        return None if given is None else MapSpec(given.channels)
    taken = _numbers(getattr(neck, "in_channels", None))
    if given is not None and taken is not None and taken != given.channels:
        raise ValueError(
            f"in_channels of the neck {type(neck).__name__} is {taken}, "
            f"but {type(before).__name__} hands out maps of {given.channels} channels"
        )
    handed = _numbers(getattr(neck, "out_channels", None))
    if handed is None:
        return None
    strides = None if given is None else given.strides
    return MapSpec(handed, neck.out_strides(strides) if isinstance(neck, Neck) and strides is not None else None)


def _numbers(told: Any) -> tuple[int, ...] | None:
    """Return a tuple of numbers, or None if it is none."""
    if isinstance(told, (tuple, list)) and all(isinstance(one, int) for one in told):
        return tuple(told)
    return None

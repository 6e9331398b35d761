"""What feature pyramids share: the levels they have, the way from coarse to fine, and coarser maps on top.

Shapes: B images, C channels, level i = 0, 1, ... of H_i rows and W_i columns, about half of those of the level before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.utils.text import did_you_mean

Cfg = Mapping[str, Any]

#: Where the maps on top of a pyramid may come from.
SOURCES = ("on_input", "on_lateral", "on_output")


@dataclass(frozen=True)
class PyramidLevels:
    """Which of the maps that come in make the pyramid, and what is put on top of it.

    Attributes:
        begin: The first of them.
        end: The one behind the last.
        extra: How many coarser maps there are on top.
        source: What the first of these is a convolution of, one of `SOURCES`; None: they are pixels of the map before.
    """

    begin: int
    end: int
    extra: int
    source: str | None

    @property
    def count(self) -> int:
        """How many maps come in and are used."""
        return self.end - self.begin

    def out_strides(self, in_strides: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of all levels: those that came in, then always the double."""
        used = tuple(in_strides[self.begin : self.end])
        return used + tuple(used[-1] * 2 ** (level + 1) for level in range(self.extra))


def pyramid_levels(
    inputs: int, num_outs: int, *, start_level: int = 0, end_level: int = -1, add_extra_convs: bool | str = False
) -> PyramidLevels:
    """Return the levels of a pyramid by the arguments that configs have.

    Args:
        inputs: How many maps come in.
        num_outs: How many go out.
        start_level: The first that is used.
        end_level: The last that is used, and the last level, too; -1 uses all and leaves room on top.
        add_extra_convs: The `source` of the levels on top; True is `on_input`, False is None.

    Raises:
        ValueError: levels that do not exist or do not go together, or an unknown source.
    """
    source = ("on_input" if add_extra_convs else None) if isinstance(add_extra_convs, bool) else add_extra_convs
    if source is not None and source not in SOURCES:
        hint = did_you_mean(str(source), SOURCES)
        raise ValueError(f"add_extra_convs is True, False or one of {', '.join(SOURCES)}, not {source!r}{hint}")
    to_the_end = end_level in (-1, inputs - 1)
    end = inputs if to_the_end else end_level + 1
    if not 0 <= start_level < end <= inputs:
        raise ValueError(f"start_level {start_level} and end_level {end_level} do not lie within {inputs} maps")
    extra = num_outs - (end - start_level)
    if extra < 0 or (extra > 0 and not to_the_end):
        most = "at least" if to_the_end else "exactly"
        levels = f"levels {start_level} to {end - 1}"
        raise ValueError(f"a pyramid of {levels} has {most} {end - start_level} maps, not {num_outs}")
    return PyramidLevels(start_level, end, extra, source)


def enlarge(x: torch.Tensor, like: torch.Tensor, upsample_cfg: Cfg) -> torch.Tensor:
    """Return a map (B, C, H, W) at the size of another.

    `upsample_cfg` holds arguments of `torch.nn.functional.interpolate`; the size wins over a `scale_factor`, which says
    the same where the stride divides the sides, and would not fit where it does not.
    """
    how = {key: value for key, value in upsample_cfg.items() if key not in ("scale_factor", "size")}
    return F.interpolate(x, size=like.shape[2:], **how)


def top_down(maps: Sequence[torch.Tensor], upsample_cfg: Cfg) -> list[torch.Tensor]:
    """Add to each level the sum that the coarser one became, enlarged (arXiv:1612.03144).

    Args:
        maps: (B, C, H_i, W_i), from fine to coarse; the sums have the same shapes.
        upsample_cfg: Arguments of `torch.nn.functional.interpolate`.
    """
    sums = [maps[-1]]
    for finer in reversed(maps[:-1]):
        sums.append(finer + enlarge(sums[-1], finer, upsample_cfg))
    return sums[::-1]


def convolve_on(x: torch.Tensor, convs: Iterable[nn.Module], *, relu: bool = False) -> list[torch.Tensor]:
    """Return what each convolution makes of what the one before made; `relu` activates that first, but not `x`."""
    maps: list[torch.Tensor] = []
    for conv in convs:
        source = x if not maps else F.relu(maps[-1]) if relu else maps[-1]
        maps.append(conv(source))
    return maps


def subsample_on(x: torch.Tensor, count: int) -> list[torch.Tensor]:
    """Return `count` maps, each every second pixel of the one before: (B, C, H, W) to (B, C, H / 2, W / 2), ..."""
    maps = [x]
    for _ in range(count):
        maps.append(maps[-1][:, :, ::2, ::2])
    return maps[1:]

"""Pooling over several ranges at once.

Shapes: B images, C channels in, K channels out, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.conv_module import ConvModule

Cfg = Mapping[str, Any]


class RangePooling(nn.ModuleList):
    """The map itself and, beside it, maxima over squares of several sizes.

    Each pooling goes on from the one before, since the maximum over 9x9 pixels is the one over 5x5 of those over 5x5.

    Args:
        kernel_sizes: The sides of the squares: odd, and growing.
        largest_first: Let the maxima over the largest squares come first, and the map itself last.

    Raises:
        ValueError: sides that are even, or do not grow.
    """

    def __init__(self, kernel_sizes: Sequence[int] = (5, 9, 13), *, largest_first: bool = False) -> None:
        steps = [after - before + 1 for before, after in pairwise((1, *kernel_sizes))]
        if any(size % 2 == 0 for size in kernel_sizes) or any(step <= 1 for step in steps):
            raise ValueError(f"sides of squares to pool over are odd and grow, {tuple(kernel_sizes)} do not")
        super().__init__(nn.MaxPool2d(step, stride=1, padding=step // 2) for step in steps)
        self.largest_first = largest_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C * (1 + number of sizes), H, W)."""
        maps = [x]
        for pool in self:
            maps.append(pool(maps[-1]))
        return torch.cat(maps[::-1] if self.largest_first else maps, dim=1)


class SPPBottleneck(nn.Module):
    """Narrow, take the maximum over squares of several sizes beside the map itself, mix (YOLOv3-SPP, arXiv:2107.08430).

    Names of parameters: conv1.*, conv2.*.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_sizes: The sides of the squares: odd, and growing.
        use_conv_first: Narrow; else all C channels are pooled.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.

    Raises:
        ValueError: sides that are even, or do not grow.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_sizes: Sequence[int] = (5, 9, 13),
        use_conv_first: bool = True,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "Swish"},  # noqa: B006
    ) -> None:
        super().__init__()
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        narrow = in_channels // 2 if use_conv_first else in_channels
        self.conv1 = ConvModule(in_channels, narrow, 1, **cfgs) if use_conv_first else nn.Identity()
        self.poolings = RangePooling(kernel_sizes)
        self.conv2 = ConvModule(narrow * (len(self.poolings) + 1), out_channels, 1, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        return self.conv2(self.poolings(self.conv1(x)))

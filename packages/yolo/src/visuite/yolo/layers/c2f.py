"""CSP layers that keep what each block gives.

Shapes: B images, C channels in, K channels out, M channels inside, N blocks, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule, CSPBlock

Cfg = Mapping[str, Any]


class CSPLayerWithTwoConv(nn.Module):
    """Halves, and blocks one behind the other on the second; both halves and what each block gave are mixed.

    The layer of YOLOv8, C2f: gradients have ways of all lengths (ELAN: Wang et al., arXiv:2211.04800). Names of
    parameters: main_conv.conv, final_conv.conv, blocks.0.conv1.conv, blocks.0.conv2.conv, ...

    Args:
        in_channels: C.
        out_channels: K.
        expand_ratio: M in K.
        num_blocks: N.
        add_identity: Let the blocks have shortcuts.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expand_ratio: float = 0.5,
        num_blocks: int = 1,
        add_identity: bool = True,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "SiLU", "inplace": True},  # noqa: B006
    ) -> None:
        super().__init__()
        half = int(out_channels * expand_ratio)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.main_conv = ConvModule(in_channels, 2 * half, 1, **cfgs)
        self.final_conv = ConvModule((2 + num_blocks) * half, out_channels, 1, **cfgs)
        self.blocks = nn.ModuleList(
            CSPBlock(
                ConvModule(half, half, 3, padding=1, **cfgs),
                ConvModule(half, half, 3, padding=1, **cfgs),
                add_identity=add_identity,
            )
            for _ in range(num_blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        maps = list(self.main_conv(x).chunk(2, dim=1))
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return self.final_conv(torch.cat(maps, dim=1))

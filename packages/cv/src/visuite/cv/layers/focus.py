"""Pixels folded into channels.

Shapes: B images, C channels in, K channels out, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers.conv_module import ConvModule

Cfg = Mapping[str, Any]


class Focus(nn.Module):
    """Make channels of the four pixels of each 2x2 square, then convolve: half the size, and no pixel is lost.

    The stem of YOLOX (arXiv:2107.08430). The four are taken column by column; odd sides are filled up with zeros.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: Of the convolution, which keeps the size.
        stride: Of the convolution.
        conv_cfg: Config of the convolution.
        norm_cfg: Config of the norm.
        act_cfg: Config of the activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 1,
        stride: int = 1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg | None = {"type": "Swish"},  # noqa: B006
    ) -> None:
        super().__init__()
        padding = (kernel_size - 1) // 2
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv = ConvModule(4 * in_channels, out_channels, kernel_size, stride=stride, padding=padding, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / 2, W / 2), the sides rounded up."""
        rows, columns = x.shape[2:]
        x = F.pad(x, (0, columns % 2, 0, rows % 2))
        return self.conv(torch.cat([x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=1))

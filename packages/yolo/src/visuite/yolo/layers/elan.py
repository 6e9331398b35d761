"""Efficient layer aggregation: chains of convolutions of which every link is kept (YOLOv7, arXiv:2207.02696, figure 2).

Shapes: B images, C channels in, K channels out, M channels of the two 1x1 convolutions, N channels of the others, H
rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import ConvModule
from visuite.yolo.registry import MODELS

Cfg = Mapping[str, Any]

_BN: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001}
_SILU: Cfg = {"type": "SiLU", "inplace": True}


def links(x: torch.Tensor, layers: Iterable[nn.Module]) -> list[torch.Tensor]:
    """Return what each layer makes of what the one before made, the last first."""
    maps = [x]
    for layer in layers:
        maps.append(layer(maps[-1]))
    return maps[:0:-1]


@MODELS.register_module()
class ELANBlock(nn.Module):
    """Blocks in a chain, all their maps beside the chain's beginning and a shortcut, then mixed.

    Names of parameters: short_conv.*, main_conv.*, blocks.0.* (blocks.0.0.* where a block has several convolutions),
    ..., final_conv.*.

    Args:
        in_channels: C.
        out_channels: K.
        middle_ratio: M in C.
        block_ratio: N in C.
        num_blocks: How many blocks there are.
        num_convs_in_block: 3x3 convolutions of each.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        middle_ratio: float,
        block_ratio: float,
        num_blocks: int = 2,
        num_convs_in_block: int = 1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = _SILU,
    ) -> None:
        super().__init__()
        middle, inner = int(in_channels * middle_ratio), int(in_channels * block_ratio)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}

        def block(channels: int) -> nn.Module:
            widths = [channels] + [inner] * (num_convs_in_block - 1)
            convs = [ConvModule(width, inner, 3, padding=1, **cfgs) for width in widths]
            return nn.Sequential(*convs) if len(convs) > 1 else convs[0]

        self.short_conv = ConvModule(in_channels, middle, 1, **cfgs)
        self.main_conv = ConvModule(in_channels, middle, 1, **cfgs)
        self.blocks = nn.ModuleList(block(middle if index == 0 else inner) for index in range(num_blocks))
        self.final_conv = ConvModule(2 * middle + num_blocks * inner, out_channels, 1, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        return self.final_conv(torch.cat((*links(x, (self.main_conv, *self.blocks)), self.short_conv(x)), dim=1))


@MODELS.register_module()
class EELANBlock(nn.Module):
    """Several `ELANBlock`s of the same map, summed: the extended ELAN of YOLOv7-E6E (arXiv:2207.02696, figure 2d).

    Names of parameters: e_elan_blocks.0.*, ...

    Args:
        num_elan_block: How many there are.
        kwargs: Arguments of `ELANBlock`.

    Raises:
        ValueError: there is none.
    """

    def __init__(self, num_elan_block: int, **kwargs: Any) -> None:
        super().__init__()
        if num_elan_block < 1:
            raise ValueError(f"an EELANBlock has ELANBlocks, but num_elan_block is {num_elan_block}")
        self.e_elan_blocks = nn.ModuleList(ELANBlock(**kwargs) for _ in range(num_elan_block))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        out = self.e_elan_blocks[0](x)
        for block in self.e_elan_blocks[1:]:
            out = out + block(x)
        return out


@MODELS.register_module()
class TinyDownSampleBlock(nn.Module):
    """YOLOv7-tiny's chain: a 1x1 convolution and two larger ones, all beside a shortcut, then mixed. It keeps the size.

    Names of parameters: short_conv.*, main_convs.{0,1,2}.*, final_conv.*.

    Args:
        in_channels: C.
        out_channels: K.
        middle_ratio: M in K.
        kernel_sizes: Of the larger convolutions, odd: of both, or of each.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        middle_ratio: float = 1.0,
        kernel_sizes: int | tuple[int, ...] = 3,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = {"type": "LeakyReLU", "negative_slope": 0.1},  # noqa: B006 (read only)
    ) -> None:
        super().__init__()
        middle = int(in_channels * middle_ratio)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        sides = (kernel_sizes, kernel_sizes) if isinstance(kernel_sizes, int) else kernel_sizes
        self.short_conv = ConvModule(in_channels, middle, 1, **cfgs)
        self.main_convs = nn.ModuleList([ConvModule(in_channels, middle, 1, **cfgs)])
        self.main_convs.extend(ConvModule(middle, middle, side, padding=side // 2, **cfgs) for side in sides)
        self.final_conv = ConvModule(middle * (2 + len(sides)), out_channels, 1, **cfgs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        return self.final_conv(torch.cat((*links(x, self.main_convs), self.short_conv(x)), dim=1))

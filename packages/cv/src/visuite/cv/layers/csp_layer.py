"""Cross stage partial layers: blocks that work on half of the channels, as the YOLO family has them.

Shapes: B images, C channels in, K channels out, M channels inside, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.activation import build_activation_layer
from visuite.cv.layers.conv_module import ConvModule
from visuite.cv.layers.depthwise_separable import DepthwiseSeparableConvModule

Cfg = Mapping[str, Any]

_BN: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001}
_SWISH: Cfg = {"type": "Swish"}


class CSPBlock(nn.Module):
    """Two convolutions, and a shortcut where the block keeps the channels.

    Args:
        first: (B, C, H, W) to (B, M, H, W).
        second: (B, M, H, W) to (B, K, H, W).
        add_identity: Have the shortcut.
    """

    def __init__(self, first: nn.Module, second: nn.Module, *, add_identity: bool) -> None:
        super().__init__()
        self.conv1 = first
        self.conv2 = second
        self.add_identity = add_identity

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        out = self.conv2(self.conv1(x))
        return x + out if self.add_identity else out


class DarknetBottleneck(CSPBlock):
    """Convolutions 1x1 and 3x3: the residual block of Darknet-53 (Redmon and Farhadi, arXiv:1804.02767).

    Args:
        in_channels: C.
        out_channels: K.
        expansion: M in K.
        add_identity: Have a shortcut, if C is K.
        use_depthwise: Make the 3x3 convolution a depthwise separable one.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: float = 0.5,
        add_identity: bool = True,
        use_depthwise: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = _SWISH,
    ) -> None:
        inside = int(out_channels * expansion)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        second = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        super().__init__(
            ConvModule(in_channels, inside, 1, **cfgs),
            second(inside, out_channels, 3, padding=1, **cfgs),
            add_identity=add_identity and in_channels == out_channels,
        )


class CSPNeXtBlock(CSPBlock):
    """Convolutions 3x3 and 5x5, the second depthwise separable: the block of RTMDet (Lyu et al., arXiv:2212.07784).

    Args:
        in_channels: C.
        out_channels: K.
        expansion: M in K.
        add_identity: Have a shortcut, if C is K.
        use_depthwise: Make the 3x3 convolution a depthwise separable one, too.
        kernel_size: Of the second convolution.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: float = 0.5,
        add_identity: bool = True,
        use_depthwise: bool = False,
        kernel_size: int = 5,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = {"type": "SiLU"},  # noqa: B006 (read only)
    ) -> None:
        inside = int(out_channels * expansion)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        first = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        super().__init__(
            first(in_channels, inside, 3, padding=1, **cfgs),
            DepthwiseSeparableConvModule(inside, out_channels, kernel_size, padding=kernel_size // 2, **cfgs),
            add_identity=add_identity and in_channels == out_channels,
        )


class ChannelAttention(nn.Module):
    """Weigh each channel by what the means of all tell (arXiv:2212.07784), by one convolution and a hard sigmoid.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.act = build_activation_layer({"type": "Hardsigmoid"})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same shape."""
        return x * self.act(self.fc(x.mean((2, 3), keepdim=True)))


class CSPLayer(nn.Module):
    """Blocks on one half of the channels, the other half beside them, then both mixed (Wang et al., arXiv:1911.11929).

    Args:
        in_channels: C.
        out_channels: K.
        expand_ratio: The channels of each half in K.
        num_blocks: How many blocks there are.
        add_identity: Let the blocks have shortcuts.
        use_depthwise: Make the blocks' 3x3 convolutions depthwise separable ones.
        use_cspnext_block: Blocks are `CSPNeXtBlock`s rather than `DarknetBottleneck`s.
        channel_attention: Weigh the channels of both halves before they are mixed.
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
        use_depthwise: bool = False,
        use_cspnext_block: bool = False,
        channel_attention: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = _SWISH,
    ) -> None:
        super().__init__()
        half = int(out_channels * expand_ratio)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        options: dict[str, Any] = {"expansion": 1.0, "add_identity": add_identity, "use_depthwise": use_depthwise}
        block = CSPNeXtBlock if use_cspnext_block else DarknetBottleneck
        self.main_conv = ConvModule(in_channels, half, 1, **cfgs)
        self.short_conv = ConvModule(in_channels, half, 1, **cfgs)
        self.final_conv = ConvModule(2 * half, out_channels, 1, **cfgs)
        self.blocks = nn.Sequential(*(block(half, half, **options, **cfgs) for _ in range(num_blocks)))
        self.attention = ChannelAttention(2 * half) if channel_attention else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        halves = torch.cat((self.blocks(self.main_conv(x)), self.short_conv(x)), dim=1)
        return self.final_conv(self.attention(halves))

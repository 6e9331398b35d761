"""Blocks that are wide inside and narrow outside, with a depthwise convolution between.

Shapes: B images, C channels in, K channels out, M channels inside, H rows, W columns, s stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.conv_module import ConvModule
from visuite.cv.layers.drop import DropPath
from visuite.cv.layers.recompute import recompute
from visuite.cv.layers.se_layer import SELayer

Cfg = Mapping[str, Any]

_BN: Cfg = {"type": "BN"}
_RELU: Cfg = {"type": "ReLU"}
_RELU6: Cfg = {"type": "ReLU6"}


def _plain(cfg: Cfg | None) -> dict[str, Any] | None:
    return None if cfg is None else dict(cfg)


class InvertedResidual(nn.Module):
    """Widen, convolve depthwise, weigh the channels, narrow (Howard et al., arXiv:1905.02244; EfficientNet's MBConv).

    The shortcut is there where the block keeps the shape.

    Args:
        in_channels: C.
        out_channels: K.
        mid_channels: M.
        kernel_size: Of the depthwise convolution.
        stride: s, of the depthwise convolution.
        dilation: Of the depthwise convolution.
        se_cfg: Arguments of `SELayer`; None is none.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        drop_path_rate: The chance of a sample to lose all but the shortcut.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        with_expand_conv: Have the convolution that widens; by default where M is not C.

    Raises:
        ValueError: a stride other than 1 and 2, or M other than C with nothing that widens.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        se_cfg: Cfg | None = None,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = _RELU,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        with_expand_conv: bool | None = None,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"the stride of an inverted residual is 1 or 2, not {stride}")
        expand = mid_channels != in_channels if with_expand_conv is None else with_expand_conv
        if not expand and mid_channels != in_channels:
            raise ValueError(f"{in_channels} channels do not become {mid_channels} without an expanding convolution")
        self.with_shortcut = stride == 1 and in_channels == out_channels
        self.with_cp = with_cp
        shared: dict[str, Any] = {"conv_cfg": _plain(conv_cfg), "norm_cfg": _plain(norm_cfg)}
        if expand:
            self.expand_conv = ConvModule(in_channels, mid_channels, 1, act_cfg=_plain(act_cfg), **shared)
        self.depthwise_conv = ConvModule(
            mid_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=mid_channels,
            act_cfg=_plain(act_cfg),
            **shared,
        )
        if se_cfg is not None:
            self.se = SELayer(**{"channels": mid_channels, **se_cfg})
        self.linear_conv = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **shared)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / s, W / s)."""
        return recompute(self._forward, x, enabled=self.with_cp)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.expand_conv(x) if hasattr(self, "expand_conv") else x
        out = self.depthwise_conv(out)
        if hasattr(self, "se"):
            out = self.se(out)
        out = self.linear_conv(out)
        return x + self.drop_path(out) if self.with_shortcut else out


class EdgeResidual(nn.Module):
    """Widen by a full convolution, weigh the channels, narrow: MBConv for accelerators (arXiv:2003.02838).

    Args:
        in_channels: C.
        out_channels: K.
        mid_channels: M.
        kernel_size: Of the first convolution.
        stride: s, of the first convolution.
        se_cfg: Arguments of `SELayer`; None is none.
        with_residual: Have a shortcut where the block keeps the shape.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the first activation.
        drop_path_rate: The chance of a sample to lose all but the shortcut.
        with_cp: Compute activations again in the backward pass instead of keeping them.

    Raises:
        ValueError: a stride other than 1 and 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        se_cfg: Cfg | None = None,
        with_residual: bool = True,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = _RELU,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"the stride of an edge residual is 1 or 2, not {stride}")
        self.with_shortcut = with_residual and stride == 1 and in_channels == out_channels
        self.with_cp = with_cp
        shared: dict[str, Any] = {"conv_cfg": _plain(conv_cfg), "norm_cfg": _plain(norm_cfg)}
        self.conv1 = ConvModule(
            in_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            act_cfg=_plain(act_cfg),
            **shared,
        )
        if se_cfg is not None:
            self.se = SELayer(**{"channels": mid_channels, **se_cfg})
        self.conv2 = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **shared)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / s, W / s)."""
        return recompute(self._forward, x, enabled=self.with_cp)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv1(x)
        if hasattr(self, "se"):
            out = self.se(out)
        out = self.conv2(out)
        return x + self.drop_path(out) if self.with_shortcut else out


class LinearBottleneck(nn.Module):
    """The block of MobileNetV2: widen, convolve depthwise, narrow without activation (arXiv:1801.04381).

    It differs from `InvertedResidual` in the names of its layers, which are `conv.0`, `conv.1`, `conv.2`.

    Args:
        in_channels: C.
        out_channels: K.
        stride: s.
        expand_ratio: M / C; 1 leaves the first convolution out.
        dilation: Of the depthwise convolution.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        with_cp: Compute activations again in the backward pass instead of keeping them.

    Raises:
        ValueError: a stride other than 1 and 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        expand_ratio: float,
        dilation: int = 1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = _BN,
        act_cfg: Cfg | None = _RELU6,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"the stride of a linear bottleneck is 1 or 2, not {stride}")
        self.with_shortcut = stride == 1 and in_channels == out_channels
        self.with_cp = with_cp
        shared: dict[str, Any] = {"conv_cfg": _plain(conv_cfg), "norm_cfg": _plain(norm_cfg)}
        act, mid_channels = _plain(act_cfg), round(in_channels * expand_ratio)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(ConvModule(in_channels, mid_channels, 1, act_cfg=act, **shared))
        depthwise: dict[str, Any] = {"padding": dilation, "dilation": dilation, "groups": mid_channels}
        layers += [
            ConvModule(mid_channels, mid_channels, 3, stride=stride, act_cfg=act, **depthwise, **shared),
            ConvModule(mid_channels, out_channels, 1, act_cfg=None, **shared),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K, H / s, W / s)."""
        return recompute(self._forward, x, enabled=self.with_cp)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.with_shortcut else self.conv(x)

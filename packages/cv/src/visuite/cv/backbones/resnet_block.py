"""The residual blocks of ResNet and its kin, and the stages made of them.

Shapes: B images, C channels in, K channels of the block, M channels inside, H rows, W columns, s stride.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from visuite.cv.layers import (
    DropPath,
    SELayer,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    build_plugin_layer,
    recompute,
)
from visuite.engine.model import BaseModule

Cfg = Mapping[str, Any]

_PLUGIN_POSITIONS = ("after_conv1", "after_conv2", "after_conv3")


@dataclass(frozen=True)
class BlockOptions:
    """What all blocks of a stage share.

    Attributes:
        style: `pytorch` strides in the 3x3 convolution of a bottleneck, `caffe` in the 1x1 before it.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        dcn: Config of the deformable convolution that takes the place of the 3x3 one; with
            `fallback_on_stride=True` not where that has a stride.
        plugins: `dict(cfg=..., position='after_conv1|2|3')` each.
        drop_path_rate: The chance of a sample to lose a block's residual.
        zero_init_residual: The last norm of a block starts at zero, so that the block starts as its shortcut.
        expansion: Channels out of a block in K; by default the block's own.
        groups: Of the 3x3 convolution of a bottleneck.
        width: Channels inside a bottleneck in K.
        se_ratio: By how much squeeze-and-excitation narrows a block's last channels; None is none.
    """

    style: str = "pytorch"
    with_cp: bool = False
    conv_cfg: Cfg | None = None
    norm_cfg: Cfg = field(default_factory=lambda: {"type": "BN"})
    act_cfg: Cfg = field(default_factory=lambda: {"type": "ReLU"})
    dcn: Cfg | None = None
    plugins: Sequence[Cfg] = ()
    drop_path_rate: float = 0.0
    zero_init_residual: bool = True
    expansion: int | None = None
    groups: int = 1
    width: float = 1.0
    se_ratio: int | None = None

    def __post_init__(self) -> None:
        if self.style not in ("pytorch", "caffe"):
            raise ValueError(f"style {self.style!r} is neither 'pytorch' nor 'caffe'")
        for plugin in self.plugins:
            if plugin.get("position") not in _PLUGIN_POSITIONS:
                raise ValueError(f"a plugin's position is one of {_PLUGIN_POSITIONS}, not {plugin.get('position')!r}")

    def conv(self, in_channels: int, out_channels: int, kernel_size: int, **kwargs: Any) -> nn.Module:
        """Build a convolution without bias."""
        cfg = None if self.conv_cfg is None else dict(self.conv_cfg)
        return build_conv_layer(cfg, in_channels, out_channels, kernel_size, bias=False, **kwargs)

    def conv3x3(self, channels: int, stride: int, dilation: int, *, copies: int = 1) -> nn.Module:
        """Build the 3x3 convolution of a bottleneck, the deformable one where there is to be one.

        With `copies` it gives so many times the channels, each copy from groups of its own.
        """
        shape = {"stride": stride, "padding": dilation, "dilation": dilation, "groups": self.groups * copies}
        cfg = dict(self.dcn or {})
        if self.dcn is None or (cfg.pop("fallback_on_stride", False) and stride > 1):
            return self.conv(channels, channels * copies, 3, **shape)
        return build_conv_layer(cfg, channels, channels * copies, 3, bias=False, **shape)

    def norm(self, channels: int, postfix: int | str = "") -> tuple[str, nn.Module]:
        """Build a norm, and say its name in state dicts."""
        return build_norm_layer(dict(self.norm_cfg), channels, postfix)


class ResidualBlock(BaseModule):
    """A shortcut and a residual, added: `relu(shortcut(x) + drop_path(se_layer(residual(x))))`.

    `relu` is the activation that the options name.

    Args:
        channels: K.
        options: What the blocks of a stage share.
    """

    expansion: int
    downsample: nn.Module | None

    def __init__(self, channels: int, options: BlockOptions) -> None:
        super().__init__()
        self.expansion = self.expansion_of(options)
        self.with_cp = options.with_cp
        self.zero_init_residual = options.zero_init_residual
        self.relu = build_activation_layer({"inplace": True, **options.act_cfg})
        self.drop_path = DropPath(options.drop_path_rate) if options.drop_path_rate > 0 else nn.Identity()
        self.se_layer = (
            nn.Identity() if options.se_ratio is None else SELayer(channels * self.expansion, ratio=options.se_ratio)
        )
        self.norm_names: dict[int, str] = {}

    @classmethod
    def expansion_of(cls, options: BlockOptions) -> int:
        """Return the channels out of a block, in K."""
        return options.expansion or cls.expansion

    def add_norm(self, number: int, channels: int, options: BlockOptions) -> None:
        """Make a norm of the residual: `bn1`, `bn2`, ..."""
        self.norm_names[number], layer = options.norm(channels, postfix=number)
        self.add_module(self.norm_names[number], layer)

    def norm(self, number: int) -> nn.Module:
        """Return a norm of the residual."""
        return getattr(self, self.norm_names[number])

    def init_weights(self) -> None:
        """Initialise as `init_cfg` says, the last norm then at zero."""
        super().init_weights()
        weight = getattr(self.norm(max(self.norm_names)), "weight", None)
        if self.zero_init_residual and isinstance(weight, torch.Tensor):
            nn.init.zeros_(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K * expansion, H / s, W / s)."""
        return self.relu(recompute(self._add, x, enabled=self.with_cp))

    def _add(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.drop_path(self.se_layer(self.residual(x))) + shortcut

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K * expansion, H / s, W / s), not activated: what a subclass computes."""
        raise TypeError(f"{type(self).__name__} defines no residual")


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions (He et al., arXiv:1512.03385).

    Args:
        in_channels: C.
        channels: K.
        stride: s, in the first convolution.
        dilation: Of the first convolution.
        downsample: The shortcut; None hands x on.
        options: What the blocks of a stage share.

    Raises:
        ValueError: deformable convolutions, plugins or groups, for which it has no place.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        options: BlockOptions | None = None,
    ) -> None:
        options = options or BlockOptions()
        if options.dcn is not None or options.plugins or options.groups != 1:
            raise ValueError("deformable convolutions, plugins and groups go into bottlenecks: depth 50 and more")
        super().__init__(channels, options)
        self.conv1 = options.conv(in_channels, channels, 3, stride=stride, padding=dilation, dilation=dilation)
        self.add_norm(1, channels, options)
        self.conv2 = options.conv(channels, channels * self.expansion, 3, padding=1)
        self.add_norm(2, channels * self.expansion, options)
        self.downsample = downsample

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K * expansion, H / s, W / s)."""
        x = self.relu(self.norm(1)(self.conv1(x)))
        return self.norm(2)(self.conv2(x))


class Bottleneck(ResidualBlock):
    """Convolutions 1x1, 3x3 and 1x1, of which the last widens to four times the channels (He et al., arXiv:1512.03385).

    With groups it is the block of ResNeXt (arXiv:1611.05431). Its kin have something else in the middle: they make it
    in `make_middle`, call it in `middle`, and say in `inner_channels` how wide it is.

    Args:
        in_channels: C.
        channels: K.
        stride: s.
        dilation: Of the 3x3 convolution.
        downsample: The shortcut; None hands x on.
        options: What the blocks of a stage share.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        options: BlockOptions | None = None,
    ) -> None:
        options = options or BlockOptions()
        super().__init__(channels, options)
        first, second = (1, stride) if options.style == "pytorch" else (stride, 1)
        inside, outside = self.inner_channels(channels, options), channels * self.expansion
        self.conv1 = options.conv(in_channels, inside, 1, stride=first)
        self.add_norm(1, inside, options)
        self.make_middle(inside, stride=second, dilation=dilation, begins_stage=downsample is not None, options=options)
        self.conv3 = options.conv(inside, outside, 1)
        self.add_norm(3, outside, options)
        self.downsample = downsample
        widths = (inside, inside, outside)
        self.plugin_names = {
            position: self._add_plugins([p["cfg"] for p in options.plugins if p["position"] == position], width)
            for position, width in zip(_PLUGIN_POSITIONS, widths, strict=True)
        }

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, K * expansion, H / s, W / s)."""
        x = self._plugins("after_conv1", self.relu(self.norm(1)(self.conv1(x))))
        x = self._plugins("after_conv2", self.middle(x))
        return self._plugins("after_conv3", self.norm(3)(self.conv3(x)))

    def inner_channels(self, channels: int, options: Any) -> int:
        """Return the channels inside of a block of K channels."""
        return int(channels * options.width)

    def make_middle(self, channels: int, *, stride: int, dilation: int, begins_stage: bool, options: Any) -> None:
        """Make the layers between the 1x1 convolutions, `channels` wide."""
        self.conv2 = options.conv3x3(channels, stride, dilation)
        self.add_norm(2, channels, options)

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        """Between the 1x1 convolutions: (B, M, H, W) to (B, M, H', W'), activated."""
        return self.relu(self.norm(2)(self.conv2(x)))

    def _add_plugins(self, cfgs: Sequence[Cfg], channels: int) -> list[str]:
        names = []
        for cfg in cfgs:
            arguments = {key: value for key, value in cfg.items() if key != "postfix"}
            name, layer = build_plugin_layer(arguments, cfg.get("postfix", ""), in_channels=channels)
            if hasattr(self, name):
                raise ValueError(f"two plugins are named {name!r}: give one of them a postfix")
            self.add_module(name, layer)
            names.append(name)
        return names

    def _plugins(self, position: str, x: torch.Tensor) -> torch.Tensor:
        for name in self.plugin_names[position]:
            x = getattr(self, name)(x)
        return x


def make_shortcut(
    in_channels: int, out_channels: int, stride: int, *, options: BlockOptions, avg_down: bool, always_pool: bool
) -> nn.Sequential | None:
    """Make the shortcut of a stage's first block, or None where x fits as it is.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Of the block.
        options: What the blocks of the stage share.
        avg_down: Pool, then convolve without stride (He et al., arXiv:1812.01187).
        always_pool: With `avg_down`, have a pooling layer even where the stride is 1 and it does nothing.
    """
    if stride == 1 and in_channels == out_channels:
        return None
    layers: list[nn.Module] = []
    if avg_down and (always_pool or stride != 1):
        layers.append(nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False))
        stride = 1
    layers += [options.conv(in_channels, out_channels, 1, stride=stride), options.norm(out_channels)[1]]
    return nn.Sequential(*layers)


def make_stage(
    block: type[BasicBlock | Bottleneck],
    in_channels: int,
    channels: int,
    *,
    stride: int,
    dilations: Sequence[int],
    options: BlockOptions,
    shortcut: nn.Module | None,
) -> nn.Sequential:
    """Make a stage, one block for each dilation; the first has the stride and the shortcut."""
    blocks = [
        block(
            in_channels if index == 0 else channels * block.expansion_of(options),
            channels,
            stride=stride if index == 0 else 1,
            dilation=dilation,
            downsample=shortcut if index == 0 else None,
            options=options,
        )
        for index, dilation in enumerate(dilations)
    ]
    return nn.Sequential(*blocks)

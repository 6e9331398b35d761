"""How the convolutions of a model are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from torch import nn

from visuite.cv.layers import ConvModule, DepthwiseSeparableConvModule, build_activation_layer, build_norm_layer

Cfg = Mapping[str, Any]

RELU: Cfg = {"type": "ReLU"}
BN: Cfg = {"type": "BN"}


@dataclass(frozen=True)
class ConvOptions:
    """What all convolutions of a model share.

    Attributes:
        conv_cfg: Config of the convolutions; None is `Conv2d`.
        norm_cfg: Config of the norms; None is no norm.
        act_cfg: Config of the activations; None is none.
    """

    conv_cfg: Cfg | None = None
    norm_cfg: Cfg | None = None
    act_cfg: Cfg | None = field(default_factory=lambda: RELU)

    def but(self, **changes: Any) -> Self:
        """Return these options with some changed."""
        return replace(self, **changes)

    def conv(self, in_channels: int, out_channels: int, kernel_size: int = 1, **kwargs: Any) -> ConvModule:
        """Make a convolution that keeps the size of maps, unless `kwargs`, those of `ConvModule`, say otherwise."""
        return ConvModule(in_channels, out_channels, kernel_size, **self._filled(kernel_size, kwargs))

    def separable_conv(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, **kwargs: Any
    ) -> DepthwiseSeparableConvModule:
        """Make a depthwise and a pointwise convolution; `kwargs` are those of `DepthwiseSeparableConvModule`."""
        return DepthwiseSeparableConvModule(in_channels, out_channels, kernel_size, **self._filled(kernel_size, kwargs))

    def norm(self, channels: int) -> nn.Module:
        """Make a norm, or what does nothing where there are none."""
        return nn.Identity() if self.norm_cfg is None else build_norm_layer(dict(self.norm_cfg), channels)[1]

    def act(self) -> nn.Module:
        """Make an activation, or what does nothing where there are none."""
        return nn.Identity() if self.act_cfg is None else build_activation_layer(dict(self.act_cfg))

    def _filled(self, kernel_size: int, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        own = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        return {"padding": kwargs.get("dilation", 1) * (kernel_size // 2), **own, **kwargs}

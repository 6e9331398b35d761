"""Convolution, norm and activation as one layer.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.layers.activation import build_activation_layer
from visuite.cv.layers.conv import build_conv_layer, build_padding_layer
from visuite.cv.layers.lookup import layer_class, takes_argument
from visuite.cv.layers.norm import build_norm_layer
from visuite.engine.registry import MODELS

_TORCH_PADDINGS = ("zeros", "circular")


@MODELS.register_module()
class ConvModule(nn.Module):
    """A convolution, and the norm and activation that go with it, in any order.

    State-dict names are `conv`, the norm's own (`bn`, `gn`, ...) and `activate`.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Of the convolution, as all up to `groups`.
        stride: See there.
        padding: See there.
        dilation: See there.
        groups: See there.
        bias: `auto` is a bias where no norm follows.
        conv_cfg: The convolution's config; None is `Conv2d`.
        norm_cfg: The norm's config; None is no norm.
        act_cfg: The activation's config; None is no activation.
        inplace: Let the activation write into its input.
        with_spectral_norm: Divide the convolution's weight by its spectral norm.
        padding_mode: `zeros`, `circular`, or the name of a padding layer: `reflect`, `replicate`.
        order: In what order the three are applied.

    Raises:
        ValueError: `order` is no permutation of conv, norm and act.
    """

    _abbr_ = "conv_block"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool | str = "auto",
        conv_cfg: Mapping[str, Any] | None = None,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = {"type": "ReLU"},
        inplace: bool = True,
        with_spectral_norm: bool = False,
        padding_mode: str = "zeros",
        order: tuple[str, str, str] = ("conv", "norm", "act"),
    ) -> None:
        super().__init__()
        if set(order) != {"conv", "norm", "act"} or len(order) != 3:
            raise ValueError(f"order is a permutation of ('conv', 'norm', 'act'), not {order}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.groups = dilation, groups
        self.conv_cfg, self.norm_cfg, self.act_cfg = conv_cfg, norm_cfg, act_cfg
        self.order = tuple(order)
        self.with_norm, self.with_activation = norm_cfg is not None, act_cfg is not None
        self.with_bias = not self.with_norm if bias == "auto" else bool(bias)
        self.with_explicit_padding = padding_mode not in _TORCH_PADDINGS
        if self.with_explicit_padding:
            self.padding_layer = build_padding_layer({"type": padding_mode}, padding)
        conv = build_conv_layer(
            conv_cfg,
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=0 if self.with_explicit_padding else padding,
            dilation=dilation,
            groups=groups,
            bias=self.with_bias,
            **({"padding_mode": padding_mode} if padding_mode == "circular" else {}),
        )
        self._initialise(conv)
        self.conv = nn.utils.spectral_norm(conv) if with_spectral_norm else conv
        self.norm_name = self._add_norm()
        if act_cfg is not None:
            takes_inplace = takes_argument(layer_class(act_cfg), "inplace")
            self.activate = build_activation_layer({**({"inplace": inplace} if takes_inplace else {}), **act_cfg})

    @property
    def norm(self) -> nn.Module | None:
        """The norm layer, or None."""
        return None if self.norm_name is None else getattr(self, self.norm_name)

    def forward(self, x: torch.Tensor, activate: bool = True, norm: bool = True) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H', W'); `activate` and `norm` can leave their layer out."""
        for step in self.order:
            if step == "conv":
                x = self.conv(self.padding_layer(x) if self.with_explicit_padding else x)
            elif step == "norm" and norm and self.norm is not None:
                x = self.norm(x)
            elif step == "act" and activate and self.with_activation:
                x = self.activate(x)
        return x

    def _add_norm(self) -> str | None:
        if self.norm_cfg is None:
            return None
        after_conv = self.order.index("norm") > self.order.index("conv")
        name, layer = build_norm_layer(self.norm_cfg, self.out_channels if after_conv else self.in_channels)
        self.add_module(name, layer)
        return name

    def _initialise(self, conv: nn.Module) -> None:
        """Draw the weights for the activation that follows; a convolution of another kind brings its own."""
        if not isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            return
        act = self.act_cfg or {}
        leaky = act.get("type") == "LeakyReLU"
        nn.init.kaiming_normal_(
            conv.weight,
            a=act.get("negative_slope", 0.01) if leaky else 0,
            mode="fan_out",
            nonlinearity="leaky_relu" if leaky else "relu",
        )
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)

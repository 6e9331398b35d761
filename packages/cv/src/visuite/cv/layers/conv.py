"""Convolutions and paddings by their config names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from visuite.cv.layers.lookup import build_layer
from visuite.engine.registry import MODELS

for _names, _layer in {
    ("Conv1d",): nn.Conv1d,
    ("Conv2d", "Conv"): nn.Conv2d,
    ("Conv3d",): nn.Conv3d,
    ("zero",): nn.ZeroPad2d,
    ("reflect",): nn.ReflectionPad2d,
    ("replicate",): nn.ReplicationPad2d,
}.items():
    MODELS.register_module(name=_names, module=_layer)


#: The `init_cfg` that draws the weights of convolutions as `torch.nn.Conv2d` does.
LIKE_TORCH: Mapping[str, Any] = {
    "type": "Kaiming",
    "layer": "Conv2d",
    "a": 5**0.5,
    "distribution": "uniform",
    "mode": "fan_in",
    "nonlinearity": "leaky_relu",
}


def build_conv_layer(cfg: Mapping[str, Any] | None, *args: Any, **kwargs: Any) -> nn.Module:
    """Build a convolution.

    Args:
        cfg: `dict(type='Conv2d', **extra)`; None means a plain `Conv2d`.
        *args: The layer's own first arguments: in and out channels, kernel size.
        **kwargs: The rest of them; `cfg` adds to these.

    Raises:
        KeyError: the type is not registered.
    """
    return build_layer(cfg or {"type": "Conv2d"}, *args, **kwargs)


def build_padding_layer(cfg: Mapping[str, Any], *args: Any, **kwargs: Any) -> nn.Module:
    """Build a padding layer: `zero`, `reflect` or `replicate`, with the border's width as argument."""
    return build_layer(cfg, *args, **kwargs)

"""Normalisation by config names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as torch_dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from visuite.cv.layers.lookup import layer_class
from visuite.engine.registry import MODELS


class SyncBatchNorm(nn.SyncBatchNorm):
    """Batch norm over all processes; in a single process, or on a CPU, the plain one.

    So a config made for many GPUs runs on one and on none, with the same parameters.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, ...)."""
        if input.is_cuda and torch_dist.is_available() and torch_dist.is_initialized():
            return super().forward(input)
        return _BatchNorm.forward(self, input)


for _names, _layer in {
    ("BN", "BN2d"): nn.BatchNorm2d,
    ("BN1d",): nn.BatchNorm1d,
    ("BN3d",): nn.BatchNorm3d,
    ("SyncBN", "MMSyncBN"): SyncBatchNorm,
    ("GN",): nn.GroupNorm,
    ("LN",): nn.LayerNorm,
    ("IN", "IN2d"): nn.InstanceNorm2d,
    ("IN1d",): nn.InstanceNorm1d,
    ("IN3d",): nn.InstanceNorm3d,
}.items():
    MODELS.register_module(name=_names, module=_layer)


def norm_abbreviation(kind: type) -> str:
    """Return the prefix of a norm layer's name in state dicts: `bn`, `gn`, `ln`, `in`."""
    own = getattr(kind, "_abbr_", None)
    if own is not None:
        return own
    for base, short in ((_InstanceNorm, "in"), (_BatchNorm, "bn"), (nn.GroupNorm, "gn"), (nn.LayerNorm, "ln")):
        if issubclass(kind, base):
            return short
    name = kind.__name__.lower()
    return next((short for word, short in _BY_NAME.items() if word in name), "norm_layer")


_BY_NAME = {"batch": "bn", "group": "gn", "layer": "ln", "instance": "in"}


def build_norm_layer(cfg: Mapping[str, Any], num_features: int, postfix: int | str = "") -> tuple[str, nn.Module]:
    """Build a norm layer.

    Args:
        cfg: `dict(type='BN', requires_grad=True, **arguments)`.
        num_features: Its channels.
        postfix: Goes behind the name.

    Returns:
        The name it bears in state dicts, such as `bn1`, and the layer.

    Raises:
        KeyError: the type is missing or not registered.
    """
    kind = layer_class(cfg)
    arguments = {key: value for key, value in cfg.items() if key not in ("type", "requires_grad")}
    if issubclass(kind, nn.GroupNorm):
        layer = kind(num_channels=num_features, **arguments)
    else:
        layer = kind(num_features, **arguments)
    layer.requires_grad_(cfg.get("requires_grad", True))
    return f"{norm_abbreviation(kind)}{postfix}", layer


def is_norm(layer: nn.Module, exclude: type | tuple[type, ...] | None = None) -> bool:
    """Whether a layer normalises: batch, group, layer or instance norm, unless of an excluded class."""
    if exclude is not None and isinstance(layer, exclude):
        return False
    return isinstance(layer, (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm))

"""Networks that work on each token alone.

Shapes: L tokens, C channels, F channels inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers.activation import build_activation_layer
from visuite.cv.layers.drop import build_dropout
from visuite.cv.layers.scale import LayerScale
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
_RELU: Cfg = {"type": "ReLU", "inplace": True}


@MODELS.register_module()
class FFN(nn.Module):
    """Linear layers with activations between, and the way round them.

    State-dict names are `layers.0.0`, ..., and `layers.<num_fcs - 1>` for the last linear layer.

    Args:
        embed_dims: C.
        feedforward_channels: F.
        num_fcs: How many linear layers there are.
        act_cfg: The activation's config.
        ffn_drop: The chance of a value behind a linear layer to be zeroed.
        dropout_layer: Config of what drops the result as a whole, such as `DropPath`.
        add_identity: Add what came in.
        layer_scale_init_value: Where factors for each channel, `gamma2`, start; 0 is none.

    Raises:
        ValueError: fewer than two layers.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        feedforward_channels: int = 1024,
        *,
        num_fcs: int = 2,
        act_cfg: Cfg = _RELU,
        ffn_drop: float = 0.0,
        dropout_layer: Cfg | None = None,
        add_identity: bool = True,
        layer_scale_init_value: float = 0.0,
    ) -> None:
        super().__init__()
        if num_fcs < 2:
            raise ValueError(f"num_fcs is at least 2, not {num_fcs}")
        self.embed_dims, self.feedforward_channels = embed_dims, feedforward_channels
        self.add_identity = add_identity
        widths = [embed_dims] + [feedforward_channels] * (num_fcs - 1)
        inner = [
            nn.Sequential(nn.Linear(wide, feedforward_channels), build_activation_layer(dict(act_cfg)), _drop(ffn_drop))
            for wide in widths[:-1]
        ]
        self.layers = nn.Sequential(*inner, nn.Linear(feedforward_channels, embed_dims), _drop(ffn_drop))
        self.dropout_layer = build_dropout(dict(dropout_layer)) if dropout_layer else nn.Identity()
        self.gamma2 = LayerScale(embed_dims, layer_scale_init_value) if layer_scale_init_value else nn.Identity()

    def forward(self, x: torch.Tensor, identity: torch.Tensor | None = None) -> torch.Tensor:
        """(..., C) to the same shape.

        Args:
            x: The tokens.
            identity: What is added to the result, instead of `x`.
        """
        out = self.dropout_layer(self.gamma2(self.layers(x)))
        if not self.add_identity:
            return out
        return (x if identity is None else identity) + out


class SwiGLUFFN(nn.Module):
    """A gated network: silu(x W1) * (x W2), then W3 (Shazeer, arXiv:2002.05202); `w12` holds the first two.

    Args:
        embed_dims: C.
        feedforward_channels: F, before a gate is reckoned with: F * 2 / 3 channels, rounded up to a multiple of 8,
            have as many weights.
        layer_scale_init_value: Where factors for each channel, `gamma2`, start; 0 is none.
        dropout_layer: Config of what drops the result as a whole.
        bias: Of the linear layers.
        add_identity: Add what came in.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        *,
        layer_scale_init_value: float = 0.0,
        dropout_layer: Cfg | None = None,
        bias: bool = True,
        add_identity: bool = True,
    ) -> None:
        super().__init__()
        hidden = -(-(feedforward_channels * 2 // 3) // 8) * 8
        self.add_identity = add_identity
        self.w12 = nn.Linear(embed_dims, 2 * hidden, bias=bias)
        self.w3 = nn.Linear(hidden, embed_dims, bias=bias)
        self.gamma2 = LayerScale(embed_dims, layer_scale_init_value) if layer_scale_init_value else nn.Identity()
        self.dropout_layer = build_dropout(dict(dropout_layer)) if dropout_layer else nn.Identity()

    def forward(self, x: torch.Tensor, identity: torch.Tensor | None = None) -> torch.Tensor:
        """(..., C) to the same shape; see `FFN`."""
        gate, value = self.w12(x).chunk(2, dim=-1)
        out = self.dropout_layer(self.gamma2(self.w3(F.silu(gate) * value)))
        if not self.add_identity:
            return out
        return (x if identity is None else identity) + out


def _drop(chance: float) -> nn.Module:
    return nn.Dropout(chance)

"""Several linear layers from features to scores.

Shapes: B images, C channels of the features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import ClsHead, Features
from visuite.cls.registry import MODELS
from visuite.cv.layers import build_activation_layer, build_norm_layer

Cfg = Mapping[str, Any]


class LinearBlock(nn.Module):
    """A linear layer `fc`, and the norm, activation and dropout behind it.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        dropout_rate: The chance of an element to be zeroed.
        norm_cfg: Config of the norm; None is none.
        act_cfg: Config of the activation; None is none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dropout_rate: float = 0.0,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = None,
    ) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, out_channels)
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(dict(norm_cfg), out_channels)[1]
        self.act = nn.Identity() if act_cfg is None else build_activation_layer(dict(act_cfg))
        self.dropout = nn.Dropout(dropout_rate) if dropout_rate > 0 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels) to (B, out_channels)."""
        return self.dropout(self.act(self.norm(self.fc(x))))


@MODELS.register_module()
class StackedLinearClsHead(ClsHead):
    """Hidden linear layers and one that scores; their names are `layers.0.fc`, `layers.0.norm`, ...

    Args:
        num_classes: K.
        in_channels: C.
        mid_channels: Channels of each hidden layer.
        dropout_rate: The chance of an element of a hidden layer to be zeroed.
        norm_cfg: Config of the hidden layers' norms; None is none.
        act_cfg: Config of their activations.
        loss: Config or object of the loss.
        topk: For which k the accuracy is logged while training.
        cal_acc: Log it at all.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: `num_classes` is not positive, or there is no hidden layer.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        mid_channels: Sequence[int],
        dropout_rate: float = 0.0,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = {"type": "ReLU"},  # noqa: B006 (read only)
        loss: Cfg | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(loss, topk, cal_acc=cal_acc, init_cfg=init_cfg)
        if num_classes <= 0:
            raise ValueError(f"num_classes is positive, not {num_classes}")
        if isinstance(mid_channels, int) or not mid_channels:
            raise ValueError(f"mid_channels is a list of at least one hidden layer's channels, not {mid_channels!r}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        widths = [in_channels, *mid_channels]
        hidden = {"dropout_rate": dropout_rate, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.layers = nn.ModuleList(
            LinearBlock(one, other, **hidden)  # type: ignore[arg-type]
            for one, other in pairwise(widths)
        )
        self.layers.append(LinearBlock(widths[-1], num_classes))

    def pre_logits(self, feats: Features) -> torch.Tensor:
        """Return what the last layer works on: (B, mid_channels[-1])."""
        x = feats[-1]
        for layer in self.layers[:-1]:
            x = layer(x)
        return x

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the scores (B, K) of features (B, C) before the softmax."""
        return self.layers[-1](self.pre_logits(feats))

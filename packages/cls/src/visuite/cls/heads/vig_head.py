"""The head of vision graph networks.

Shapes: B images, C channels of the features, D channels inside, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import ClsHead, Features
from visuite.cls.registry import MODELS
from visuite.cv.layers import build_activation_layer

Cfg = Mapping[str, Any]


@MODELS.register_module()
class VigClsHead(ClsHead):
    """Two linear layers, `fc1` and `fc2`, with a batch norm `bn` and an activation between them (arXiv:2206.00272).

    Args:
        num_classes: K.
        in_channels: C.
        hidden_dim: D.
        act_cfg: The activation inside.
        dropout: The chance of a value inside to be zeroed.
        loss: Config or object of the loss.
        topk: For which k the accuracy is logged while training.
        cal_acc: Log it at all.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: `num_classes` is not positive.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        hidden_dim: int = 1024,
        act_cfg: Cfg = {"type": "GELU"},  # noqa: B006  # never written to
        dropout: float = 0.0,
        loss: Cfg | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(loss, topk, cal_acc=cal_acc, init_cfg=init_cfg)
        if num_classes <= 0:
            raise ValueError(f"num_classes is positive, not {num_classes}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.fc1 = nn.Linear(in_channels, hidden_dim)
        self.bn = nn.BatchNorm1d(hidden_dim)
        self.act = build_activation_layer(dict(act_cfg))
        self.drop = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden_dim, num_classes)

    def pre_logits(self, feats: Features) -> torch.Tensor:
        """Return what the last layer works on: (B, D)."""
        return self.drop(self.act(self.bn(self.fc1(feats[-1]))))

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the scores (B, K) of features (B, C) before the softmax."""
        return self.fc2(self.pre_logits(feats))

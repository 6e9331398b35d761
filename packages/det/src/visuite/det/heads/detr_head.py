"""DETR's head (Carion et al., arXiv:2005.12872).

Shapes: D layers, B images, Q queries, C channels, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.cv.layers import FFN
from visuite.det.heads.dense import Cfg
from visuite.det.heads.query_head import QueryHead
from visuite.det.registry import MODELS


@MODELS.register_module()
class DETRHead(QueryHead):
    """A linear layer for classes and a small network for boxes, the same behind all layers.

    Names of parameters: fc_cls, reg_ffn.layers, fc_reg.

    Args:
        num_classes: K.
        embed_dims: C.
        num_reg_fcs: Linear layers of the network before the last.
        loss_cls: See `QueryHead`.
        init_cfg: How weights are initialised.
        **kwargs: See `QueryHead`.
    """

    def __init__(
        self,
        num_classes: int,
        embed_dims: int = 256,
        *,
        num_reg_fcs: int = 2,
        loss_cls: Cfg | nn.Module = {  # noqa: B006 (read only)
            "type": "CrossEntropyLoss",
            "bg_cls_weight": 0.1,
            "use_sigmoid": False,
            "loss_weight": 1.0,
            "class_weight": 1.0,
        },
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, embed_dims, loss_cls=loss_cls, init_cfg=init_cfg, **kwargs)
        self.fc_cls = nn.Linear(embed_dims, self.cls_out_channels)
        self.reg_ffn = FFN(embed_dims, embed_dims, num_fcs=num_reg_fcs, act_cfg={"type": "ReLU"}, add_identity=False)
        self.fc_reg = nn.Linear(embed_dims, 4)

    def forward(self, hidden_states: torch.Tensor, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (D, B, Q, K + 1) and boxes (D, B, Q, 4) of tokens (D, B, Q, C)."""
        return self.fc_cls(hidden_states), self.fc_reg(self.reg_ffn(hidden_states).relu()).sigmoid()

"""Deformable DETR's head (Zhu et al., arXiv:2010.04159).

Shapes: D layers, B images, Q queries, C channels, K classes, R numbers of a reference: 2 (a point) or 4 (a box
`cxcywh`), in parts of the image.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.det.heads.dense import Cfg
from visuite.det.heads.query_head import QueryHead
from visuite.det.heads.towers import prior_bias
from visuite.det.layers.transformer import inverse_sigmoid
from visuite.det.registry import MODELS
from visuite.det.structures import DetDataSample, unpack_gt_instances


@MODELS.register_module()
class DeformableDETRHead(QueryHead):
    """Classes, and boxes as offsets to references, by branches for each layer.

    Names of parameters: cls_branches.d, reg_branches.d.0, reg_branches.d.2, reg_branches.d.4.

    Args:
        num_classes: K.
        embed_dims: C.
        share_pred_layer: All layers have the same branches, as they must where boxes are not refined.
        num_reg_fcs: Linear layers of the box branches before the last.
        as_two_stage: There are branches for the encoder too, behind those of the layers.
        num_pred_layer: How many branches there are.
        loss_cls: See `QueryHead`.
        init_cfg: How weights are initialised.
        **kwargs: See `QueryHead`.
    """

    def __init__(
        self,
        num_classes: int,
        embed_dims: int = 256,
        *,
        share_pred_layer: bool = False,
        num_reg_fcs: int = 2,
        as_two_stage: bool = False,
        num_pred_layer: int = 6,
        loss_cls: Cfg | nn.Module = {"type": "FocalLoss", "use_sigmoid": True, "loss_weight": 2.0},  # noqa: B006
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, embed_dims, loss_cls=loss_cls, init_cfg=init_cfg, **kwargs)
        self.share_pred_layer, self.as_two_stage = share_pred_layer, as_two_stage
        cls_branch = nn.Linear(embed_dims, self.cls_out_channels)
        hidden = [part for _ in range(num_reg_fcs) for part in (nn.Linear(embed_dims, embed_dims), nn.ReLU())]
        reg_branch = nn.Sequential(*hidden, nn.Linear(embed_dims, 4))
        each = (lambda part: part) if share_pred_layer else copy.deepcopy
        self.cls_branches = nn.ModuleList(each(cls_branch) for _ in range(num_pred_layer))
        self.reg_branches = nn.ModuleList(each(reg_branch) for _ in range(num_pred_layer))

    def init_weights(self) -> None:
        """Initialise the weights: classes rare, boxes where their references are, small ones at first."""
        super().init_weights()
        if self.use_sigmoid_cls:
            for branch in self.cls_branches:
                nn.init.constant_(branch.bias, prior_bias(0.01))  # type: ignore[arg-type]
        for branch in self.reg_branches:
            last: Any = branch[-1]  # type: ignore[index]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        nn.init.constant_(self.reg_branches[0][-1].bias[2:], -2.0)  # type: ignore[index]
        if self.as_two_stage:
            for branch in self.reg_branches:
                nn.init.zeros_(branch[-1].bias[2:])  # type: ignore[index]

    def forward(
        self, hidden_states: torch.Tensor, references: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (D, B, Q, K) and boxes (D, B, Q, 4).

        Args:
            hidden_states: (D, B, Q, C).
            references: (B, Q, R), what each layer saw before it.
        """
        scores, boxes = [], []
        for layer, (tokens, reference) in enumerate(zip(hidden_states, references, strict=False)):
            scores.append(self.cls_branches[layer](tokens))
            boxes.append(refined(self.reg_branches[layer](tokens), reference))
        return torch.stack(scores), torch.stack(boxes)

    def loss(  # type: ignore[override]
        self,
        hidden_states: torch.Tensor,
        references: Sequence[torch.Tensor],
        *,
        batch_data_samples: Sequence[DetDataSample],
        proposals: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the losses of all layers, and those of the encoder's proposals as `enc_loss_cls`...

        Args:
            hidden_states: (D, B, Q, C).
            references: See `forward`.
            batch_data_samples: Truth and sizes.
            proposals: Scores (B, S, K) and boxes (B, S, 4) of all pixels, which are objects of class 0 or none.
        """
        losses = super().loss(hidden_states, references, batch_data_samples=batch_data_samples)
        if proposals is not None:
            objects, _, metas = unpack_gt_instances(batch_data_samples)
            plain = [copy.copy(one) for one in objects]
            for one in plain:
                one.labels = torch.zeros_like(one.labels)
            found = self.losses_of(*proposals, plain, metas)
            losses.update({f"enc_{name}": value for name, value in found.items()})
        return losses


def refined(offsets: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return boxes (..., 4): a reference (..., R) moved by offsets (..., 4), both before the sigmoid."""
    start = inverse_sigmoid(reference)
    missing = offsets.shape[-1] - start.shape[-1]
    return (offsets + nn.functional.pad(start, (0, missing))).sigmoid()

"""YOLOv5's head: one convolution for each level, and anchors matched by their sides.

There is no paper; YOLOv7 (Wang et al., arXiv:2207.02696) and Scaled-YOLOv4 (arXiv:2011.08036) write boxes alike.

Shapes: B images, C_l channels of level l, A anchors at each place, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.det.heads.dense import Features
from visuite.det.heads.levels import Maps
from visuite.yolo.heads.anchors import AnchorDense, AnchorHeadModule
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLOv5HeadModule(AnchorHeadModule):
    """One 1x1 convolution for each level.

    Names of parameters: convs_pred.l. Arguments as of `AnchorHeadModule`.
    """

    def __init__(self, num_classes: int, in_channels: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.convs_pred = nn.ModuleList(nn.Conv2d(width, self.out_channels, 1) for width in self.in_channels)

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C_l, H_l, W_l) into classes (B, A * K, ...), boxes (B, A * 4, ...) and objectness
        (B, A, ...).
        """
        return self.split([conv(x) for conv, x in zip(self.convs_pred, feats, strict=True)])


@MODELS.register_module()
class YOLOv5Head(AnchorDense):
    """Objects learn from all anchors that are matched with them. Arguments as of `AnchorDense`."""

    def loss_by_feat(
        self, cls_scores: Maps, bbox_preds: Maps, objectnesses: Maps, *, truth: BatchTruth
    ) -> dict[str, torch.Tensor]:
        """Return `loss_cls`, `loss_obj` and `loss_bbox`."""
        logits = self.logits(cls_scores, bbox_preds, objectnesses)
        matches = self.match(truth.rows, logits.sizes)
        return self.losses(logits, self.places(cls_scores), matches, truth)

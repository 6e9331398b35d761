"""The head of EfficientFormer.

Shapes: B images, C channels of the features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import ClsHead, Features
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample

_INIT: Mapping[str, Any] = {"type": "Normal", "layer": "Linear", "std": 0.01}


@MODELS.register_module()
class EfficientFormerClsHead(ClsHead):
    """A linear layer, `head`, and one that a teacher taught, `dist_head` (Li et al., arXiv:2206.01191).

    The score is the mean of both. Without a teacher both learn from the labels.

    Args:
        num_classes: K.
        in_channels: C.
        distillation: Have the second layer.
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
        distillation: bool = True,
        loss: Mapping[str, Any] | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__(loss, topk, cal_acc=cal_acc, init_cfg=init_cfg)
        if num_classes <= 0:
            raise ValueError(f"num_classes is positive, not {num_classes}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.distillation = distillation
        self.head = nn.Linear(in_channels, num_classes)
        if distillation:
            self.dist_head = nn.Linear(in_channels, num_classes)

    def scores(self, feats: Features) -> list[torch.Tensor]:
        """Return the scores (B, K) of each layer, of features (B, C)."""
        x = self.pre_logits(feats)
        return [self.head(x), self.dist_head(x)] if self.distillation else [self.head(x)]

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the mean of the layers' scores (B, K)."""
        return torch.stack(self.scores(feats)).mean(dim=0)

    def loss(self, feats: Features, data_samples: Sequence[DataSample], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Return the mean of the layers' losses."""
        return self.mean_loss_of(self.scores(feats), data_samples, **kwargs)

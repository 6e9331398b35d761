"""The head of distilled vision transformers.

Shapes: B images, C channels of the features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.vision_transformer_head import VisionTransformerClsHead
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]


@MODELS.register_module()
class DeiTClsHead(VisionTransformerClsHead):
    """One linear layer for the class token, `layers.head`, and one for the distillation token, `layers.head_dist`.

    The prediction is their mean (Touvron et al., arXiv:2012.12877). Without a teacher both learn from the labels.

    Args:
        *args: As of `VisionTransformerClsHead`.
        **kwargs: See there.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.layers["head_dist"] = nn.Linear(self.hidden_dim or self.in_channels, self.num_classes)

    def pre_logits(self, feats: Pairs) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Return what the last layers work on, of both tokens."""
        cls_token, dist_token = feats[-1]
        return self._hidden(cls_token), self._hidden(dist_token)

    def scores(self, feats: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores (B, K) of both tokens."""
        cls_token, dist_token = self.pre_logits(feats)
        return self.layers["head"](cls_token), self.layers["head_dist"](dist_token)

    def forward(self, feats: Pairs) -> torch.Tensor:  # type: ignore[override]
        """Return the mean of the scores of both tokens (B, K)."""
        by_cls, by_dist = self.scores(feats)
        return (by_cls + by_dist) / 2

    def loss(  # type: ignore[override]
        self, feats: Pairs, data_samples: Sequence[DataSample], **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Return the mean of both tokens' losses."""
        return self.mean_loss_of(self.scores(feats), data_samples, **kwargs)

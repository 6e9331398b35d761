"""The head of Conformer, a network of convolutions and a transformer side by side.

Shapes: B images, C channels of the convolutions' features, T of the transformer's, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import ClsHead
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample

Pairs = Sequence[Sequence[torch.Tensor]]


@MODELS.register_module()
class ConformerHead(ClsHead):
    """A linear layer on the convolutions' features, `conv_cls_head`, and one on the transformer's, `trans_cls_head`.

    The scores are the sum of both; each learns alone (Peng et al., arXiv:2105.03889).

    Args:
        num_classes: K.
        in_channels: C and T.
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
        in_channels: Sequence[int],
        *,
        loss: Mapping[str, Any] | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = {"type": "TruncNormal", "layer": "Linear", "std": 0.02},  # noqa: B006  # never written to
    ) -> None:
        super().__init__(loss, topk, cal_acc=cal_acc, init_cfg=init_cfg)
        if num_classes <= 0:
            raise ValueError(f"num_classes is positive, not {num_classes}")
        self.in_channels = tuple(in_channels)
        self.num_classes = num_classes
        of_convolutions, of_transformer = self.in_channels
        self.conv_cls_head = nn.Linear(of_convolutions, num_classes)
        self.trans_cls_head = nn.Linear(of_transformer, num_classes)

    def pre_logits(self, feats: Pairs) -> Sequence[torch.Tensor]:  # type: ignore[override]
        """Return the last features: (B, C) and (B, T)."""
        return feats[-1]

    def scores(self, feats: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores (B, K) of both."""
        of_convolutions, of_transformer = self.pre_logits(feats)
        return self.conv_cls_head(of_convolutions), self.trans_cls_head(of_transformer)

    def forward(self, feats: Pairs) -> torch.Tensor:  # type: ignore[override]
        """Return the sum of both scores (B, K)."""
        by_convolutions, by_transformer = self.scores(feats)
        return by_convolutions + by_transformer

    def loss(  # type: ignore[override]
        self, feats: Pairs, data_samples: Sequence[DataSample], **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Return the mean of both losses."""
        return self.mean_loss_of(self.scores(feats), data_samples, **kwargs)

"""Heads for images that may have several classes.

Shapes: B images, C channels of the features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.heads.cls_head import Features
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample, one_hot
from visuite.engine.model import BaseModule

_LOSS = {"type": "CrossEntropyLoss", "use_sigmoid": True}


@MODELS.register_module()
class MultiLabelClsHead(BaseModule):
    """Take the last features as scores, each of which decides on its class alone.

    Args:
        loss: Config or object of the loss, between scores (B, K) and truths (B, K) from 0 to 1.
        thr: The classes with at least this score are predicted. By default 0.5, unless there is `topk`.
        topk: In place of `thr`: that many classes with the best scores are predicted.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        loss: Mapping[str, Any] | nn.Module = _LOSS,
        thr: float | None = None,
        *,
        topk: int | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.loss_module = MODELS.build(loss)
        self.thr = 0.5 if thr is None and topk is None else thr
        self.topk = topk

    def pre_logits(self, feats: Features) -> torch.Tensor:
        """Return what the last layer works on: the last of the features, (B, C)."""
        return feats[-1]

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the scores (B, K) before the sigmoid."""
        return self.pre_logits(feats)

    def loss(self, feats: Features, data_samples: Sequence[DataSample], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Return `loss`.

        Args:
            feats: The features of B images.
            data_samples: Their truth: `gt_score` (K,), or `gt_label` (n,).
            **kwargs: Handed on to the loss.
        """
        cls_score = self(feats)
        target = torch.stack([one_hot(sample, cls_score.shape[1]) for sample in data_samples]).float()
        return {"loss": self.loss_module(cls_score, target, avg_factor=len(cls_score), **kwargs)}

    def predict(self, feats: Features, data_samples: Sequence[DataSample] | None = None) -> list[DataSample]:
        """Return the samples with `pred_score` (K,), each from 0 to 1, and `pred_label` (n,).

        Args:
            feats: The features of B images.
            data_samples: Filled in, if given.
        """
        scores = self(feats).float().sigmoid()
        samples = list(data_samples) if data_samples is not None else [DataSample() for _ in scores]
        for sample, score in zip(samples, scores, strict=True):
            sample.set_pred_score(score).set_pred_label(self.chosen(score))
        return samples

    def chosen(self, score: torch.Tensor) -> torch.Tensor:
        """Return the predicted classes (n,) of scores (K,)."""
        if self.thr is not None:
            return (score >= self.thr).nonzero().flatten()
        return score.topk(min(self.topk or 1, len(score))).indices


@MODELS.register_module()
class MultiLabelLinearClsHead(MultiLabelClsHead):
    """One linear layer, `fc`.

    Args:
        num_classes: K.
        in_channels: C.
        loss: As of `MultiLabelClsHead`.
        thr: As of `MultiLabelClsHead`.
        topk: As of `MultiLabelClsHead`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: `num_classes` is not positive.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        loss: Mapping[str, Any] | nn.Module = _LOSS,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: Any = {"type": "Normal", "layer": "Linear", "std": 0.01},  # noqa: B006  # never written to
    ) -> None:
        super().__init__(loss, thr, topk=topk, init_cfg=init_cfg)
        if num_classes <= 0:
            raise ValueError(f"num_classes is positive, not {num_classes}")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the scores (B, K) of features (B, C) before the sigmoid."""
        return self.fc(self.pre_logits(feats))

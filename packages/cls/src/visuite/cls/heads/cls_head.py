"""Heads for one class per image.

Shapes: B images, C channels of the features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample
from visuite.cv.losses import accuracy
from visuite.engine.model import BaseModule

Features = Sequence[torch.Tensor]


@MODELS.register_module()
class ClsHead(BaseModule):
    """Take the last features as scores; the base of heads that compute them.

    Args:
        loss: Config or object of the loss.
        topk: For which k the accuracy is logged while training.
        cal_acc: Log it at all. It has no meaning where labels are mixed.
        init_cfg: How weights are initialised.
    """

    def __init__(
        self,
        loss: Mapping[str, Any] | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        *,
        cal_acc: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.loss_module = MODELS.build(loss or {"type": "CrossEntropyLoss", "loss_weight": 1.0})
        self.cal_acc = cal_acc

    def pre_logits(self, feats: Features) -> torch.Tensor:
        """Return what the last layer works on: the last of the features, (B, C)."""
        return feats[-1]

    def forward(self, feats: Features) -> torch.Tensor:
        """Return the scores (B, K) before the softmax."""
        return self.pre_logits(feats)

    def loss(self, feats: Features, data_samples: Sequence[DataSample], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Return `loss`, and `accuracy_top-k` where it is asked for.

        Args:
            feats: The features of B images.
            data_samples: Their truth.
            **kwargs: Handed on to the loss.
        """
        return self.loss_of(self(feats), data_samples, **kwargs)

    def loss_of(
        self, cls_score: torch.Tensor, data_samples: Sequence[DataSample], **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Return the losses of scores (B, K).

        Raises:
            ValueError: `cal_acc` with soft labels.
        """
        target = truth(data_samples)
        losses = {"loss": self.loss_module(cls_score, target, avg_factor=cls_score.shape[0], **kwargs)}
        if self.cal_acc:
            if target.ndim != 1:
                raise ValueError("cal_acc=True needs one label per image, these have soft or several labels")
            found = accuracy(cls_score.detach(), target, topk=self.topk)
            losses.update({f"accuracy_top-{k}": value for k, value in zip(self.topk, found, strict=True)})
        return losses

    def mean_loss_of(
        self, several: Sequence[torch.Tensor], data_samples: Sequence[DataSample], **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Return the mean losses of several scores (B, K) of the same images, each of which learns alone."""
        losses = [self.loss_of(cls_score, data_samples, **kwargs) for cls_score in several]
        return {name: torch.stack([one[name] for one in losses]).mean(dim=0) for name in losses[0]}

    def predict(self, feats: Features, data_samples: Sequence[DataSample] | None = None) -> list[DataSample]:
        """Return the samples with `pred_score` (K,), a distribution, and `pred_label` (1,).

        Args:
            feats: The features of B images.
            data_samples: Filled in, if given.
        """
        return self.predictions_of(self(feats), data_samples)

    def predictions_of(
        self, cls_score: torch.Tensor, data_samples: Sequence[DataSample] | None = None
    ) -> list[DataSample]:
        """Write scores (B, K) into samples."""
        scores = F.softmax(cls_score.float(), dim=1)
        labels = scores.argmax(dim=1)
        samples = list(data_samples) if data_samples is not None else [DataSample() for _ in scores]
        for sample, score, label in zip(samples, scores, labels, strict=True):
            sample.set_pred_score(score).set_pred_label(label)
        return samples


def truth(data_samples: Sequence[DataSample]) -> torch.Tensor:
    """Return the soft labels (B, K) of samples that have them, else their classes (B,).

    Raises:
        ValueError: a sample has no truth, or several labels and no `gt_score`.
    """
    if all("gt_score" in sample for sample in data_samples):
        return torch.stack([sample.gt_score for sample in data_samples])
    missing = [index for index, sample in enumerate(data_samples) if "gt_label" not in sample]
    if missing:
        raise ValueError(f"sample {missing[0]} of the batch has no gt_label: does the data set give labels?")
    labels = torch.cat([sample.gt_label for sample in data_samples])
    if len(labels) != len(data_samples):
        raise ValueError("samples with several labels need gt_score: set to_onehot=True in the data_preprocessor")
    return labels

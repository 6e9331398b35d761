"""Test-time augmentation: one prediction of several versions of an image.

Shapes: K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample
from visuite.engine.hooks import register_default_tta
from visuite.engine.model import BaseTTAModel


@MODELS.register_module()
class AverageClsScoreTTA(BaseTTAModel):
    """Average the scores of all versions of an image; arguments as of `BaseTTAModel`."""

    def merge_preds(self, data_samples_list: Sequence[Sequence[DataSample]]) -> list[DataSample]:
        """Return for each image its sample with the mean `pred_score` (K,) and the `pred_label` that follows from it.

        Args:
            data_samples_list: For each image the samples that were predicted for its versions.
        """
        merged = []
        for versions in data_samples_list:
            score = torch.stack([one.pred_score for one in versions]).mean(dim=0)
            merged.append(versions[0].clone().set_pred_score(score).set_pred_label(self._chosen(score)))
        return merged

    def _chosen(self, score: torch.Tensor) -> torch.Tensor:
        """Return the classes (n,) of scores (K,) as the model's head decides on them: the best one, unless it says."""
        head: Any = getattr(self.module, "head", None)
        return head.chosen(score) if hasattr(head, "chosen") else score.argmax()


register_default_tta("cls", {"type": "AverageClsScoreTTA"})

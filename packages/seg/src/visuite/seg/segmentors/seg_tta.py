"""Test-time augmentation of segmentors.

Shapes: K channels of scores, H and W of an image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from visuite.engine.model import BaseTTAModel
from visuite.engine.structures import PixelData
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample


@MODELS.register_module()
class SegTTAModel(BaseTTAModel):
    """Predict each image in several versions, and take the mean of their probabilities.

    Args:
        module: The segmentor, or its config.
        data_preprocessor: Put in place of the segmentor's own.
    """

    def merge_preds(self, data_samples_list: list[list[SegDataSample]]) -> list[SegDataSample]:
        """Return one sample for each image: that of its first version, with the merged prediction.

        Args:
            data_samples_list: For each image, the samples of its versions; each is of the original's size.
        """
        return [self._merge(samples) for samples in data_samples_list]

    def _merge(self, samples: Sequence[SegDataSample]) -> SegDataSample:
        scores = merge_scores([sample.seg_logits.data for sample in samples])
        merged = samples[0].clone()
        merged.seg_logits = PixelData(data=scores)
        merged.pred_sem_seg = PixelData(data=self.module.labels_of(scores))
        return merged


def merge_scores(versions: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return scores whose probabilities are the mean of those of several scores (K, H, W).

    They are reckoned as logarithms, so that probabilities near 0 stay what they are. With K = 1 the probability is that
    of a sigmoid, else of a softmax.
    """
    stacked = torch.stack(list(versions)).float()
    if stacked.shape[1] == 1:
        return F.logsigmoid(stacked).logsumexp(0) - F.logsigmoid(-stacked).logsumexp(0)
    return stacked.log_softmax(dim=1).logsumexp(0) - math.log(len(stacked))

"""Labels and scores of a whole image."""

from __future__ import annotations

import torch
from torch import Tensor

from visuite.engine.structures.base_data_element import BaseDataElement


class LabelData(BaseDataElement):
    """Class labels, scores or one-hot vectors of one image, K classes."""

    @staticmethod
    def onehot_to_label(onehot: Tensor) -> Tensor:
        """Return the positions of the ones, (L,) int64.

        Args:
            onehot: (K,) of zeros and ones.

        Raises:
            ValueError: more than one dimension, or another value.
        """
        if not isinstance(onehot, Tensor):
            raise TypeError(f"onehot has to be a tensor, not {type(onehot).__name__}")
        if onehot.ndim != 1 or not ((onehot == 0) | (onehot == 1)).all():
            raise ValueError(f"onehot has to be one row of zeros and ones, not {onehot}")
        return onehot.nonzero().squeeze(1)

    @staticmethod
    def label_to_onehot(label: Tensor, num_classes: int) -> Tensor:
        """Return ones at the labels' positions and zeros elsewhere, (K,) int64.

        Args:
            label: (L,) of class indices, or one index without dimension.
            num_classes: K.

        Raises:
            ValueError: a label that is not in `[0, num_classes)`.
        """
        if not isinstance(label, Tensor):
            raise TypeError(f"label has to be a tensor, not {type(label).__name__}")
        label = label.reshape(-1).long()
        if label.numel() and not 0 <= int(label.min()) <= int(label.max()) < num_classes:
            raise ValueError(f"labels lie in 0 to {num_classes - 1}, not {label.tolist()}")
        return torch.zeros(num_classes, dtype=torch.long, device=label.device).index_fill_(0, label, 1)

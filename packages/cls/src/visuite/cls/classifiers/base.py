"""What all classifiers share: the modes of `forward`, over features and a head.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

from visuite.cls.structures import DataSample
from visuite.engine.model import BaseModel


class BaseClassifier(BaseModel, ABC):
    """Images to features, which a head turns into losses, predictions or scores; a subclass has `extract_feat`."""

    head: Any

    @property
    def with_neck(self) -> bool:
        """Whether there is a neck."""
        return hasattr(self, "neck")

    @property
    def with_head(self) -> bool:
        """Whether there is a head."""
        return hasattr(self, "head")

    def forward(
        self, inputs: torch.Tensor, data_samples: Sequence[DataSample] | None = None, mode: str = "tensor"
    ) -> Any:
        """Return losses, predictions or plain tensors.

        Args:
            inputs: Preprocessed images (B, C, H, W).
            data_samples: One for each; `loss` needs them.
            mode: `loss`: a dict of losses. `predict`: the samples with predictions. `tensor`: scores (B, K), or the
                features where there is no head.

        Raises:
            ValueError: an unknown mode, or no samples to learn from.
        """
        if mode == "tensor":
            feats = self.extract_feat(inputs)
            return self.head(feats) if self.with_head else feats
        if mode == "loss":
            if data_samples is None:
                raise ValueError("mode='loss' needs data_samples")
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode {mode!r} is none of 'loss', 'predict', 'tensor'")

    @abstractmethod
    def extract_feat(self, inputs: torch.Tensor) -> Any:
        """Return what the head takes, of images (B, C, H, W)."""

    def extract_feats(self, multi_inputs: Sequence[torch.Tensor], **kwargs: Any) -> list[Any]:
        """Return `extract_feat` of each of several batches."""
        if not isinstance(multi_inputs, Sequence):
            raise TypeError(f"extract_feats takes a list of batches, not {type(multi_inputs).__name__}")
        return [self.extract_feat(inputs, **kwargs) for inputs in multi_inputs]

    def loss(self, inputs: torch.Tensor, data_samples: Sequence[DataSample]) -> dict[str, torch.Tensor]:
        """Return the losses of images (B, C, H, W)."""
        return self.head.loss(self.extract_feat(inputs), data_samples)

    def predict(
        self, inputs: torch.Tensor, data_samples: Sequence[DataSample] | None = None, **kwargs: Any
    ) -> list[DataSample]:
        """Return the samples of images (B, C, H, W) with `pred_score` and `pred_label`."""
        return self.head.predict(self.extract_feat(inputs), data_samples, **kwargs)

"""What all detectors share: the modes of `forward`, features, and writing predictions into samples.

Shapes: B images, C channels, H rows, W columns, N objects of an image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.necks.base import check_head, told_maps
from visuite.det.structures import DetDataSample
from visuite.engine.model import BaseModel
from visuite.engine.registry import MODELS
from visuite.engine.structures import InstanceData

Part = Mapping[str, Any] | nn.Module
Features = tuple[torch.Tensor, ...]
Samples = Sequence[DetDataSample]


class BaseDetector(BaseModel):
    """Images to losses or to objects; a subclass writes `loss`, `predict` and `tensors`.

    Args:
        data_preprocessor: Config or object.
        init_cfg: How weights are initialised.
    """

    backbone: nn.Module
    neck: nn.Module

    def __init__(self, data_preprocessor: Part | None = None, init_cfg: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)

    @property
    def with_neck(self) -> bool:
        """Whether there is a neck."""
        return hasattr(self, "neck")

    def forward(self, inputs: torch.Tensor, data_samples: Samples | None = None, mode: str = "tensor") -> Any:
        """Return losses, predictions or plain tensors.

        Args:
            inputs: Preprocessed images (B, C, H, W).
            data_samples: One for each; `loss` and `predict` need them.
            mode: `loss`: a dict of losses. `predict`: the samples, with `pred_instances`. `tensor`: what the heads say.

        Raises:
            ValueError: an unknown mode, or no samples where they are needed.
        """
        if mode == "tensor":
            return self.tensors(inputs, data_samples)
        if mode not in ("loss", "predict"):
            raise ValueError(f"mode {mode!r} is none of 'loss', 'predict', 'tensor'")
        if data_samples is None:
            raise ValueError(f"mode={mode!r} needs data_samples")
        return self.loss(inputs, data_samples) if mode == "loss" else self.predict(inputs, data_samples)

    def extract_feat(self, batch_inputs: torch.Tensor) -> Features:
        """Return the maps (B, C_l, H_l, W_l) that the heads work on, of images (B, C, H, W)."""
        feats = self.backbone(batch_inputs)
        return self.neck(feats) if self.with_neck else feats

    @abstractmethod
    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Samples) -> dict[str, Any]:
        """Return the losses of images (B, C, H, W)."""

    @abstractmethod
    def predict(self, batch_inputs: torch.Tensor, batch_data_samples: Samples, rescale: bool = True) -> list[Any]:
        """Return the samples of images (B, C, H, W) with `pred_instances`.

        Args:
            batch_inputs: Preprocessed images.
            batch_data_samples: Their samples, filled in.
            rescale: Give boxes and masks in the size of the image file, not in that of the input.
        """

    @abstractmethod
    def tensors(self, batch_inputs: torch.Tensor, batch_data_samples: Samples | None = None) -> Any:
        """Return what the heads say of images (B, C, H, W), without any further step."""

    def add_pred_to_datasample(self, data_samples: Samples, results_list: Sequence[InstanceData]) -> list[Any]:
        """Write the objects found into the samples."""
        for sample, found in zip(data_samples, results_list, strict=True):
            sample.pred_instances = found
        return list(data_samples)


def build_with(part: Part, **settings: Any) -> Any:
    """Build a head with the settings that its detector has for it; a ready-made head has its own."""
    return MODELS.build({**settings, **part} if isinstance(part, Mapping) else part)


def check_channels(backbone: nn.Module, neck: nn.Module | None, head: nn.Module | None) -> None:
    """Fail now, and clearly, rather than in the first convolution.

    Raises:
        ValueError: the neck is for other channels than the backbone gives, or the head than what is before it.
    """
    given = told_maps(backbone, neck)
    if head is not None:
        check_head(head, given)

"""Detectors that look once: features, and a dense head.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from visuite.det.detectors.base import BaseDetector, Part, Samples, build_with, check_channels
from visuite.det.registry import MODELS


class SingleStageDetector(BaseDetector):
    """A backbone, a neck and a dense head, by all the names that configs have for it (`NAMES`).

    Args:
        backbone: Images to maps.
        neck: Maps to maps.
        bbox_head: Maps to losses and boxes.
        train_cfg: Settings of the head while training.
        test_cfg: Its settings while predicting.
        data_preprocessor: Config or object.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: parts that are for other channels than they get.
    """

    def __init__(
        self,
        backbone: Part,
        neck: Part | None = None,
        *,
        bbox_head: Part,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.bbox_head = build_with(bbox_head, train_cfg=train_cfg, test_cfg=test_cfg)
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        check_channels(self.backbone, getattr(self, "neck", None), self.bbox_head)

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Samples) -> dict[str, Any]:
        """Return the losses of images (B, C, H, W)."""
        return self.bbox_head.loss(self.extract_feat(batch_inputs), batch_data_samples)

    def predict(self, batch_inputs: torch.Tensor, batch_data_samples: Samples, rescale: bool = True) -> list[Any]:
        """Return the samples of images (B, C, H, W) with `pred_instances`."""
        found = self.bbox_head.predict(self.extract_feat(batch_inputs), batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, found)

    def tensors(self, batch_inputs: torch.Tensor, batch_data_samples: Samples | None = None) -> Any:
        """Return the maps of the head for images (B, C, H, W)."""
        return self.bbox_head(self.extract_feat(batch_inputs))


#: Detectors that differ in their heads alone.
NAMES = ("ATSS", "FCOS", "GFL", "RTMDet", "RetinaNet", "SingleStageDetector", "YOLOX")

MODELS.register_module(list(NAMES), module=SingleStageDetector)

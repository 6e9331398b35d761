"""A region proposal network as a detector of its own.

Shapes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from visuite.det.detectors.base import BaseDetector, Part, Samples, build_with, check_channels
from visuite.det.detectors.two_stage import class_agnostic
from visuite.det.registry import MODELS


@MODELS.register_module()
class RPN(BaseDetector):
    """The first half of Faster R-CNN (arXiv:1506.01497): all that may be an object, of whatever class.

    Args:
        backbone: Images to maps.
        neck: Maps to maps.
        rpn_head: Maps to proposals.
        train_cfg: `rpn`: settings of the head while training.
        test_cfg: `rpn`: its settings while predicting.
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
        rpn_head: Part,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        agnostic = {**rpn_head, "num_classes": 1} if isinstance(rpn_head, Mapping) else rpn_head
        settings = {"train_cfg": (train_cfg or {}).get("rpn"), "test_cfg": (test_cfg or {}).get("rpn")}
        self.rpn_head = build_with(agnostic, **settings)
        check_channels(self.backbone, getattr(self, "neck", None), self.rpn_head)

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Samples) -> dict[str, Any]:
        """Return the losses of images (B, C, H, W)."""
        return self.rpn_head.loss(self.extract_feat(batch_inputs), class_agnostic(batch_data_samples))

    def predict(self, batch_inputs: torch.Tensor, batch_data_samples: Samples, rescale: bool = True) -> list[Any]:
        """Return the samples of images (B, C, H, W) with their proposals as `pred_instances`, all of class 0."""
        found = self.rpn_head.predict(self.extract_feat(batch_inputs), batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, found)

    def tensors(self, batch_inputs: torch.Tensor, batch_data_samples: Samples | None = None) -> Any:
        """Return the maps of the head for images (B, C, H, W)."""
        return self.rpn_head(self.extract_feat(batch_inputs))

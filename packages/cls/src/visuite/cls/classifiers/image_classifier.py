"""The model that all image classifiers are.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cls.classifiers.base import BaseClassifier
from visuite.cls.preprocessor import build_preprocessor
from visuite.cls.registry import MODELS
from visuite.cv.necks import told_maps

Part = Mapping[str, Any] | nn.Module
_STAGES = ("backbone", "neck", "pre_logits")


@MODELS.register_module()
class ImageClassifier(BaseClassifier):
    """A backbone, a neck that pools its features, and a head. Each may be an object or a config.

    Args:
        backbone: Images to feature maps.
        neck: Feature maps to vectors; or several in a list, one after the other.
        head: Vectors to losses and predictions.
        pretrained: A checkpoint of the whole model, the short form of `init_cfg=dict(type='Pretrained', ...)`.
        train_cfg: `augments`, and perhaps `probs`: the `batch_augments` of the preprocessor.
        data_preprocessor: Config or object; `ClsDataPreprocessor` unless it names another type.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: the neck or the head is for other channels than it gets.
    """

    def __init__(
        self,
        backbone: Part,
        neck: Part | None = None,
        *,
        head: Part | None = None,
        pretrained: str | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        if pretrained is not None:
            init_cfg = {"type": "Pretrained", "checkpoint": pretrained}
        super().__init__(data_preprocessor=build_preprocessor(data_preprocessor, train_cfg), init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        if head is not None:
            self.head = MODELS.build(head)
        self._check_channels()

    def extract_feat(self, inputs: torch.Tensor, stage: str = "neck") -> Any:
        """Return the features of images (B, C, H, W) behind a part of the model.

        Args:
            inputs: Preprocessed images.
            stage: `backbone` or `neck`: a tuple, one entry for each of the backbone's maps. `pre_logits`: what the
                head's last layer works on.

        Raises:
            ValueError: an unknown stage, or `pre_logits` without a head that tells them.
        """
        if stage not in _STAGES:
            raise ValueError(f"stage {stage!r} is none of {_STAGES}")
        feats = self.backbone(inputs)
        if stage == "backbone":
            return feats
        if self.with_neck:
            feats = self.neck(feats)
        if stage == "neck":
            return feats
        if not (self.with_head and hasattr(self.head, "pre_logits")):
            raise ValueError("stage='pre_logits' needs a head that has a method pre_logits")
        return self.head.pre_logits(feats)

    def _check_channels(self) -> None:
        """Fail now, and clearly, rather than in the first multiplication."""
        given = told_maps(self.backbone, getattr(self, "neck", None))
        wanted = getattr(getattr(self, "head", None), "in_channels", None)
        if given is not None and isinstance(wanted, int) and wanted != given.channels[-1]:
            raise ValueError(f"in_channels of the head is {wanted}, but it gets {given.channels[-1]} channels")

"""The model that all image classifiers are.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample
from visuite.engine.model import BaseModel

Part = Mapping[str, Any] | nn.Module
_STAGES = ("backbone", "neck", "pre_logits")


@MODELS.register_module()
class ImageClassifier(BaseModel):
    """A backbone, a neck that pools its features, and a head. Each may be an object or a config.

    Args:
        backbone: Images to feature maps.
        neck: Feature maps to vectors.
        head: Vectors to losses and predictions.
        pretrained: A checkpoint of the whole model, the short form of `init_cfg=dict(type='Pretrained', ...)`.
        train_cfg: `augments`, and perhaps `probs`: the `batch_augments` of the preprocessor.
        data_preprocessor: Config or object; `ClsDataPreprocessor` unless it names another type.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: the head is for other channels than the backbone gives.
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
        super().__init__(data_preprocessor=_preprocessor(data_preprocessor, train_cfg), init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        if head is not None:
            self.head = MODELS.build(head)
        self._check_channels()

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

    def _check_channels(self) -> None:
        """Fail now, and clearly, rather than in the first multiplication."""
        source: Any = self.backbone
        if self.with_neck and not getattr(self.neck, "keeps_channels", False):
            source = self.neck
        told = getattr(source, "out_channels", None)
        wanted = getattr(getattr(self, "head", None), "in_channels", None)
        given = told[-1] if isinstance(told, Sequence) else told
        if isinstance(wanted, int) and isinstance(given, int) and wanted != given:
            raise ValueError(f"the head's in_channels is {wanted}, but {type(source).__name__} gives {given} channels")


def _preprocessor(given: Part | None, train_cfg: Mapping[str, Any] | None) -> Any:
    """Build the preprocessor, with the type and the augmentations (old configs have them in `train_cfg`) filled in."""
    unknown = sorted(set(train_cfg or ()) - {"augments", "probs"})
    if unknown:
        raise ValueError(f"train_cfg of a classifier holds augments and probs, not {unknown[0]!r}")
    if given is not None and not isinstance(given, Mapping):
        return given
    cfg = {"type": "ClsDataPreprocessor", **(given or {})}
    if train_cfg and "augments" in train_cfg:
        cfg.setdefault("batch_augments", dict(train_cfg))
    return MODELS.build(cfg)

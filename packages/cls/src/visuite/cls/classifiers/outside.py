"""Whole models of other libraries, trained and evaluated as ours.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.classifiers.base import BaseClassifier
from visuite.cls.heads import ClsHead
from visuite.cls.preprocessor import build_preprocessor
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample
from visuite.cv.backbones import create_timm_model, create_torchvision_model

Part = Mapping[str, Any] | nn.Module
_LOSS = {"type": "CrossEntropyLoss", "loss_weight": 1.0}
#: What a loss of scores from the middle of a network counts (Szegedy et al., arXiv:1409.4842).
_AUXILIARY_WEIGHT = 0.3


@MODELS.register_module()
class TimmClassifier(BaseClassifier):
    """A model of timm, `model`, whose last layer gives the scores.

    Args:
        model_name: Its name there, perhaps with the tag of its weights.
        pretrained: Fetch its weights.
        loss: Config or object of the loss.
        train_cfg: `augments`, and perhaps `probs`: the `batch_augments` of the preprocessor.
        with_cp: Compute activations again in the backward pass instead of keeping them, where the model can.
        data_preprocessor: Config or object; `ClsDataPreprocessor` unless it names another type.
        init_cfg: How weights are initialised; None leaves them as timm made them.
        **kwargs: For `timm.create_model`: `num_classes`, `checkpoint_path`, `drop_rate`, ...

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no model of this name.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: bool = False,
        *,
        loss: Part = _LOSS,
        train_cfg: Mapping[str, Any] | None = None,
        with_cp: bool = False,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_preprocessor=build_preprocessor(data_preprocessor, train_cfg), init_cfg=init_cfg)
        self.model = create_timm_model(model_name, extra="visuite-cls[timm]", pretrained=pretrained, **kwargs)
        self.head = ClsHead(loss)
        if with_cp:
            self.model.set_grad_checkpointing()

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the scores (B, K) of images (B, C, H, W), alone in a tuple."""
        return (self.model(inputs),)


@MODELS.register_module()
class TorchvisionClassifier(BaseClassifier):
    """A classification model of torchvision, `model`, whose last layer gives the scores.

    GoogLeNet and Inception also learn from the scores in their middle, `loss_aux0`, ...

    Args:
        model_name: Its name there, such as `resnet50`.
        weights: `DEFAULT`, or the name of one of its sets of weights; None starts anew.
        loss: Config or object of the loss.
        train_cfg: `augments`, and perhaps `probs`: the `batch_augments` of the preprocessor.
        data_preprocessor: Config or object; `ClsDataPreprocessor` unless it names another type.
        init_cfg: How weights are initialised; None leaves them as torchvision made them.
        **kwargs: For the model: `num_classes`, ...

    Raises:
        ValueError: torchvision has no such model.
    """

    def __init__(
        self,
        model_name: str,
        weights: str | None = None,
        *,
        loss: Part = _LOSS,
        train_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_preprocessor=build_preprocessor(data_preprocessor, train_cfg), init_cfg=init_cfg)
        self.model = create_torchvision_model(model_name, weights=weights, **kwargs)
        self.head = ClsHead(loss)

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the scores (B, K) of images (B, C, H, W), last in a tuple; before them those of the middle."""
        out = self.model(inputs)
        if isinstance(out, torch.Tensor):
            return (out,)
        return tuple(one for one in reversed(out) if one is not None)

    def loss(self, inputs: torch.Tensor, data_samples: Sequence[DataSample]) -> dict[str, torch.Tensor]:
        """Return the losses of images (B, C, H, W)."""
        *middle, last = self.extract_feat(inputs)
        losses = self.head.loss((last,), data_samples)
        for index, scores in enumerate(middle):
            losses[f"loss_aux{index}"] = _AUXILIARY_WEIGHT * self.head.loss((scores,), data_samples)["loss"]
        return losses

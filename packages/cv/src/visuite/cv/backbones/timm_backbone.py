"""Backbones of timm.

Shapes: B images, I channels in, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.cv.backbones.base import Backbone
from visuite.engine.registry import MODELS
from visuite.engine.utils.text import did_you_mean


@MODELS.register_module()
class TIMMBackbone(Backbone):
    """A model of timm without its classifier, `timm_model`.

    Args:
        model_name: Its name there.
        features_only: Hand out a map of each stage; else what `forward_features` gives, once.
        pretrained: Fetch its weights.
        checkpoint_path: A file with its weights.
        in_channels: I.
        init_cfg: How weights are initialised; None leaves them as timm made them.
        **kwargs: For `timm.create_model`, such as `out_indices` with `features_only`.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no model of this name.
    """

    def __init__(
        self,
        model_name: str,
        features_only: bool = False,
        pretrained: bool = False,
        checkpoint_path: str = "",
        in_channels: int = 3,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg=[] if init_cfg is None else init_cfg)
        if not features_only:
            kwargs = {"num_classes": 0, **kwargs}
        self.features_only = features_only
        self.timm_model = create_timm_model(
            model_name,
            features_only=features_only,
            pretrained=pretrained,
            checkpoint_path=checkpoint_path,
            in_chans=in_channels,
            **kwargs,
        )
        if features_only:
            self.out_channels = tuple(self.timm_model.feature_info.channels())
            self.out_strides = tuple(self.timm_model.feature_info.reduction())
        else:
            self.out_channels = (self.timm_model.num_features,)
            told = getattr(self.timm_model, "feature_info", None) or [{"reduction": 0}]
            self.out_strides = (told[-1]["reduction"],)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to a map of each stage, or to the last features alone."""
        return tuple(self.timm_model(x)) if self.features_only else (self.timm_model.forward_features(x),)


def create_timm_model(model_name: str, *, extra: str = "visuite-cv[timm]", **kwargs: Any) -> Any:
    """Return a model of timm that keeps its weights when the model around it is initialised.

    Args:
        model_name: Its name there, perhaps with the tag of its weights: `resnet50.a1_in1k`.
        extra: What to install where timm is missing.
        **kwargs: For `timm.create_model`.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no model of this name.
    """
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"{model_name} is a model of timm: pip install '{extra}'") from error
    base = model_name.partition(".")[0]
    if not timm.is_model(base):
        raise ValueError(f"timm has no model {model_name!r}{did_you_mean(base, timm.list_models())}")
    model: Any = timm.create_model(model_name, **kwargs)
    model.is_init = True  # many have an init_weights that would draw fetched weights anew
    return model

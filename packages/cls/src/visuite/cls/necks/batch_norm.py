"""Normalised features for a linear classifier.

Shapes: B images, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.registry import MODELS
from visuite.engine.model import BaseModule


@MODELS.register_module()
class ClsBatchNormNeck(BaseModule):
    """A batch norm, `bn`, of vectors; for linear classification of frozen features (He et al., arXiv:2111.06377).

    Args:
        input_features: C.
        affine: Learn a scale and a shift too.
        eps: Added to the variance.
        init_cfg: How weights are initialised.
    """

    #: Whoever checks channels at build time may look through this neck.
    keeps_channels = True

    def __init__(self, input_features: int, affine: bool = False, *, eps: float = 1e-6, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.bn = nn.BatchNorm1d(input_features, affine=affine, eps=eps)

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Vectors (B, C) to the same."""
        return tuple(self.bn(one) for one in inputs)

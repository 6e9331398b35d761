"""The head of CCNet.

Shapes: B images, C channels of features, h rows, w columns.

Names of parameters: those of `FCNHead`, and cca.{query_conv,key_conv,value_conv,gamma.scale}.
"""

from __future__ import annotations

from typing import Any

import torch

from visuite.cv.ops import CrissCrossAttention
from visuite.seg.heads.fcn_head import FCNHead
from visuite.seg.registry import MODELS


@MODELS.register_module()
class CCHead(FCNHead):
    """Attention of pixels to their row and column, several times over (Huang et al., arXiv:1811.11721).

    Args:
        recurrence: How many times; after two every pixel has heard of every other.
        **kwargs: As of `FCNHead`.
    """

    def __init__(self, *, recurrence: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.recurrence = recurrence
        self.cca = CrissCrossAttention(self.channels)

    def context(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        for _ in range(self.recurrence):
            x = self.cca(x)
        return x

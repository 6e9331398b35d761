"""The head of GCNet.

Shapes: B images, C channels of features, h rows, w columns.

Names of parameters: those of `FCNHead`, and gc_block.{conv_mask,channel_add_conv,channel_mul_conv}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from visuite.cv.layers import ContextBlock
from visuite.seg.heads.fcn_head import FCNHead
from visuite.seg.registry import MODELS


@MODELS.register_module()
class GCHead(FCNHead):
    """A vector made of a weighed mean of all pixels, for all of them alike (Cao et al., arXiv:1904.11492).

    Args:
        ratio: See `ContextBlock`, as the next two.
        pooling_type: See there.
        fusion_types: See there.
        **kwargs: As of `FCNHead`.
    """

    def __init__(
        self,
        *,
        ratio: float = 1 / 4,
        pooling_type: str = "att",
        fusion_types: Sequence[str] = ("channel_add",),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gc_block = ContextBlock(self.channels, ratio, pooling_type=pooling_type, fusion_types=fusion_types)

    def context(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        return self.gc_block(x)

"""The base of heads that refine the scores of a head before them.

Shapes: B images, K channels of scores, h and w of a head's maps, H and W of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from visuite.seg.heads.decode_head import BaseDecodeHead, Losses, Maps, Metas
from visuite.seg.structures import SegDataSample


class BaseCascadeDecodeHead(BaseDecodeHead):
    """A `BaseDecodeHead` whose methods take the scores of the head before, too."""

    def forward(self, inputs: Maps, prev_output: torch.Tensor) -> Any:  # type: ignore[override]
        """Return the scores (B, K, h, w) of maps and of scores (B, K, h', w') before."""
        raise NotImplementedError(f"{type(self).__name__} needs forward(inputs, prev_output)")

    def loss(  # type: ignore[override]
        self,
        inputs: Maps,
        prev_output: torch.Tensor,
        batch_data_samples: Sequence[SegDataSample],
        train_cfg: Any = None,
    ) -> Losses:
        """Return the losses; see `BaseDecodeHead.loss`."""
        return self.loss_by_feat(self(inputs, prev_output), batch_data_samples)

    def predict(  # type: ignore[override]
        self, inputs: Maps, prev_output: torch.Tensor, batch_img_metas: Metas, test_cfg: Any = None
    ) -> torch.Tensor:
        """Return the scores (B, K, H, W); see `BaseDecodeHead.predict`."""
        return self.predict_by_feat(self(inputs, prev_output), batch_img_metas)

"""Which pixels a loss looks at.

Shapes: B images, K classes, H rows, W columns.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from visuite.seg.registry import TASK_UTILS


class _Context(Protocol):
    """What a sampler asks of the head that it samples for."""

    ignore_index: int
    loss_decode: nn.ModuleList

    def element_losses(self, seg_logits: torch.Tensor, seg_label: torch.Tensor) -> torch.Tensor:
        """Return the loss of each pixel."""


@TASK_UTILS.register_module()
class OHEMPixelSampler:
    """Online hard example mining (Shrivastava et al., arXiv:1604.03540): weight 1 for hard pixels, 0 for others.

    Args:
        context: The head.
        thresh: Pixels whose own class has less probability than this are hard; without it those with the greatest
            losses.
        min_kept: How many pixels are kept of each image of the batch, at least.

    Raises:
        ValueError: `min_kept` is not above 1.
    """

    def __init__(self, context: _Context, thresh: float | None = None, *, min_kept: int = 100000) -> None:
        if min_kept <= 1:
            raise ValueError(f"min_kept of OHEMPixelSampler is above 1, not {min_kept}")
        self.context = context
        self.thresh = thresh
        self.min_kept = min_kept

    @torch.no_grad()
    def sample(self, seg_logit: torch.Tensor, seg_label: torch.Tensor) -> torch.Tensor:
        """Return the weights (B, H, W) of pixels.

        Args:
            seg_logit: (B, K, H, W).
            seg_label: (B, 1, H, W).
        """
        label = seg_label.squeeze(1)
        valid = label != self.context.ignore_index
        most = self.min_kept * len(label)
        if self.thresh is None:
            hardness = self.context.element_losses(seg_logit, seg_label)[valid]
            kept = _largest(hardness, most)
        else:
            own = _own_probability(seg_logit, label * valid)[valid]
            kept = own < self.thresh
            if int(kept.sum()) < most:
                kept = _largest(-own, most)
        return torch.zeros_like(label, dtype=seg_logit.dtype).masked_scatter(valid, kept.to(seg_logit.dtype))


def _own_probability(seg_logit: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the probability (B, H, W) of each pixel's class (B, H, W)."""
    if seg_logit.shape[1] == 1:
        positive = seg_logit.squeeze(1).sigmoid()
        return torch.where(label == 1, positive, 1 - positive)
    return seg_logit.softmax(dim=1).gather(1, label.unsqueeze(1)).squeeze(1)


def _largest(values: torch.Tensor, count: int) -> torch.Tensor:
    """Return which of values (N,) are among the `count` largest."""
    chosen = values.topk(min(count, len(values)), sorted=False).indices
    return torch.zeros_like(values, dtype=torch.bool).index_fill(0, chosen, True)

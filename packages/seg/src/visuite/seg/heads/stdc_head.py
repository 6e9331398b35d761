"""The head of STDC that learns detail.

Shapes: B images, K channels of scores, H rows, W columns.

Names of parameters: those of `FCNHead`, and fusion_kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.seg.heads.decode_head import Losses, stack_maps
from visuite.seg.heads.fcn_head import FCNHead
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

_STRIDES = (1, 2, 4)
_SHARES = (0.6, 0.3, 0.1)


@MODELS.register_module()
class STDCHead(FCNHead):
    """Learn where classes meet: from the true map's edges at three sizes (Fan et al., arXiv:2104.13188).

    Args:
        boundary_threshold: What the Laplacian of the truth, and the weighed sum of the sizes, has to exceed on an edge.
        **kwargs: As of `FCNHead`.
    """

    laplacian_kernel: torch.Tensor

    def __init__(self, *, boundary_threshold: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.boundary_threshold = boundary_threshold
        kernel = torch.full((1, 1, 3, 3), -1.0)
        kernel[..., 1, 1] = 8.0
        self.register_buffer("laplacian_kernel", kernel, persistent=False)
        self.fusion_kernel = nn.Parameter(torch.tensor(_SHARES).reshape(1, 3, 1, 1), requires_grad=False)

    def loss_by_feat(self, seg_logits: torch.Tensor, batch_data_samples: Sequence[SegDataSample]) -> Losses:
        """Return the losses of scores (B, K, h, w), held against the edges of the truth."""
        return self.losses_of(seg_logits, self.edges_of(stack_maps(batch_data_samples, "gt_sem_seg")))

    @torch.no_grad()
    def edges_of(self, labels: torch.Tensor) -> torch.Tensor:
        """Return 1 on the edges of true maps (B, 1, H, W), 0 elsewhere."""
        maps = labels.to(self.laplacian_kernel)
        steep = [F.conv2d(maps, self.laplacian_kernel, stride=stride, padding=1) for stride in _STRIDES]
        edges = [(one > self.boundary_threshold).float() for one in steep]
        whole = [edges[0], *(F.interpolate(one, size=labels.shape[2:]) for one in edges[1:])]
        return (F.conv2d(torch.cat(whole, dim=1), self.fusion_kernel) > self.boundary_threshold).long()

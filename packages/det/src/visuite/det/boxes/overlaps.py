"""How much boxes overlap, as a part that configs name.

Shapes: M and N boxes.
"""

from __future__ import annotations

import torch

from visuite.cv.ops import bbox_overlaps
from visuite.det.registry import TASK_UTILS


@TASK_UTILS.register_module()
class BboxOverlaps2D:
    """`visuite.cv.ops.bbox_overlaps` for boxes with or without a score behind their corners.

    Args:
        scale: Without effect: it kept half-precision areas from overflowing, and overlaps are computed in float32 here.
        dtype: `fp16` hands the overlaps out in half precision; None as they are.

    Raises:
        ValueError: another `dtype`.
    """

    def __init__(self, scale: float = 1.0, dtype: str | None = None) -> None:
        if dtype not in (None, "fp16"):
            raise ValueError(f"dtype of overlaps is 'fp16' or None, not {dtype!r}")
        self.scale = scale
        self.dtype = dtype

    def __call__(
        self, bboxes1: torch.Tensor, bboxes2: torch.Tensor, mode: str = "iou", is_aligned: bool = False
    ) -> torch.Tensor:
        """Return the overlaps (M, N) of boxes (M, 4|5) and (N, 4|5), or (M,) of those in the same place."""
        overlaps = bbox_overlaps(bboxes1[..., :4], bboxes2[..., :4], mode, is_aligned)
        return overlaps if self.dtype is None else overlaps.half()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scale={self.scale}, dtype={self.dtype!r})"


@TASK_UTILS.register_module()
class BboxOverlaps2D_GLIP:
    """IoU of boxes whose second corner is the last pixel inside, as in GLIP. Li et al., arXiv:2112.03857."""

    def __call__(
        self, bboxes1: torch.Tensor, bboxes2: torch.Tensor, mode: str = "iou", is_aligned: bool = False
    ) -> torch.Tensor:
        """Return the overlaps (M, N) of boxes (M, 4) and (N, 4), or (M,) of those in the same place."""
        last = bboxes1.new_tensor((0, 0, 1, 1))
        return bbox_overlaps(bboxes1[..., :4] + last, bboxes2[..., :4] + last, mode, is_aligned)

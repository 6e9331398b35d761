"""Boxes as the distances from a prior's centre to their edges, over its size. Zhu et al., FSAF, arXiv:1903.00621.

Shapes: N boxes, B images; * any of (N) and (B, N). Boxes are `xyxy`; distances stand in the order top, bottom,
left, right.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from visuite.cv.ops import full_precision
from visuite.det.boxes.coder import BBoxCoder, MaxShape, clip_boxes
from visuite.det.registry import TASK_UTILS

Normalizer = float | Sequence[float]


def bboxes2tblr(
    priors: torch.Tensor, gts: torch.Tensor, normalizer: Normalizer = 4.0, normalize_by_wh: bool = True
) -> torch.Tensor:
    """Return the distances (*, 4) from the centres of priors (*, 4) to the edges of objects (*, 4).

    Args:
        priors: (*, 4).
        gts: (*, 4).
        normalizer: What distances are divided by, one number or four.
        normalize_by_wh: Divide them by the prior's height or width too.
    """
    x1, y1, x2, y2 = full_precision(priors).unbind(-1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, top, right, bottom = full_precision(gts).unbind(-1)
    distances = torch.stack((y - top, bottom - y, x - left, right - x), dim=-1)
    if normalize_by_wh:
        w, h = x2 - x1, y2 - y1
        distances = distances / torch.stack((h, h, w, w), dim=-1)
    return distances / distances.new_tensor(normalizer)


def tblr2bboxes(
    priors: torch.Tensor,
    tblr: torch.Tensor,
    normalizer: Normalizer = 4.0,
    normalize_by_wh: bool = True,
    *,
    max_shape: MaxShape | None = None,
    clip_border: bool = True,
) -> torch.Tensor:
    """Return the boxes (*, 4) at given distances from the centres of priors.

    Args:
        priors: (*, 4).
        tblr: (*, 4).
        normalizer: What distances are multiplied by, one number or four.
        normalize_by_wh: Multiply them by the prior's height or width too.
        max_shape: (h, w) of the image, or one for each of B images: boxes end at its border.
        clip_border: Whether `max_shape` counts.
    """
    x1, y1, x2, y2 = full_precision(priors).unbind(-1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    distances = full_precision(tblr)
    distances = distances * distances.new_tensor(normalizer)
    if normalize_by_wh:
        w, h = x2 - x1, y2 - y1
        distances = distances * torch.stack((h, h, w, w), dim=-1)
    top, bottom, left, right = distances.unbind(-1)
    boxes = torch.stack((x - left, y - top, x + right, y + bottom), dim=-1)
    return clip_boxes(boxes, max_shape) if clip_border and max_shape is not None else boxes


@TASK_UTILS.register_module()
class TBLRBBoxCoder(BBoxCoder):
    """Distances from a prior's centre to the edges, over the prior's size and a number.

    Args:
        normalizer: The number, or one for each of top, bottom, left and right.
        clip_border: End decoded boxes at the image's border.
    """

    def __init__(self, normalizer: Normalizer = 4.0, clip_border: bool = True) -> None:
        self.normalizer = normalizer
        self.clip_border = clip_border

    def encode(self, bboxes: torch.Tensor, gt_bboxes: torch.Tensor) -> torch.Tensor:
        """Return the distances (*, 4) from boxes (*, 4) to objects (*, 4)."""
        return bboxes2tblr(bboxes, gt_bboxes, self.normalizer)

    def decode(
        self, bboxes: torch.Tensor, pred_bboxes: torch.Tensor, max_shape: MaxShape | None = None
    ) -> torch.Tensor:
        """Return the boxes (*, 4) of distances (*, 4) from boxes (*, 4)."""
        return tblr2bboxes(bboxes, pred_bboxes, self.normalizer, max_shape=max_shape, clip_border=self.clip_border)

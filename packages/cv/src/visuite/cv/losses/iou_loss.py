"""Losses of how far a box is from overlapping its target.

Shapes: N boxes, `xyxy`.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from visuite.cv.losses.base import WeightedLoss, check_same_shape
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.losses.regression import smooth_l1_loss
from visuite.cv.ops import bbox_overlaps, bbox_xyxy_to_cxcywh, full_precision
from visuite.engine.registry import MODELS

IOU_MODES = ("linear", "square", "log")


def iou_loss(pred: torch.Tensor, target: torch.Tensor, *, mode: str = "log", eps: float = 1e-6) -> torch.Tensor:
    """Return 1 - IoU (`linear`), 1 - IoU^2 (`square`) or -log(IoU) (`log`, arXiv:1608.01471) of each box.

    Args:
        pred: (N, 4).
        target: (N, 4).
        mode: One of the three.
        eps: The least IoU.

    Returns:
        (N,), in float32 at least.

    Raises:
        ValueError: an unknown mode, or shapes that do not go together.
    """
    _check_mode(mode)
    iou = bbox_overlaps(pred, target, is_aligned=True).clamp(min=eps)
    if mode == "log":
        return -iou.log()
    return 1 - iou if mode == "linear" else 1 - iou**2


def bounded_iou_loss(pred: torch.Tensor, target: torch.Tensor, *, beta: float = 0.2, eps: float = 1e-3) -> torch.Tensor:
    """Smooth L1 loss of the best IoU that each coordinate of the box by itself allows (arXiv:1711.00164).

    Args:
        pred: (N, 4).
        target: (N, 4).
        beta: Of `smooth_l1_loss`.
        eps: Added to what is divided by, in pixels.

    Returns:
        (N, 4), of the centre's x and y, the width and the height; in float32 at least.

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(pred, target)
    centre, size = bbox_xyxy_to_cxcywh(full_precision(pred)).chunk(2, dim=-1)
    true_centre, true_size = bbox_xyxy_to_cxcywh(full_precision(target)).chunk(2, dim=-1)
    away = 2 * (centre - true_centre).abs()
    by_centre = ((true_size - away) / (true_size + away + eps)).clamp(min=0)
    by_size = torch.minimum(true_size / (size + eps).clamp(min=eps), size / (true_size + eps))
    bound = torch.cat((by_centre, by_size), dim=-1)
    return smooth_l1_loss(bound, torch.ones_like(bound), beta=beta)


def _check_mode(mode: str) -> str:
    if mode not in IOU_MODES:
        raise ValueError(f"IoU mode {mode!r} is none of {IOU_MODES}")
    return mode


class _OverlapLoss(WeightedLoss):
    """1 - the overlap that a subclass names. A box with a weight for each coordinate weighs their mean."""

    overlap: ClassVar[str]

    def __init__(self, eps: float = 1e-6, reduction: str = "mean", *, loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        self.eps = eps

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Boxes (N, 4) and (N, 4) to (N,)."""
        return 1 - bbox_overlaps(pred, target, mode=self.overlap, is_aligned=True, eps=self.eps)

    def reduce(
        self,
        loss: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor:
        """Like that of all losses, with weights (N,) or (N, 4)."""
        if weight is not None and weight.ndim > 1:
            weight = weight.mean(-1)
        return super().reduce(loss, weight, avg_factor, reduction_override)


@MODELS.register_module()
class IoULoss(_OverlapLoss):
    """-log(IoU), 1 - IoU or 1 - IoU^2 (Yu et al., arXiv:1608.01471).

    Args:
        linear: The old way to say `mode='linear'`.
        eps: The least IoU.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
        mode: `linear`, `square` or `log`.

    Raises:
        ValueError: an unknown mode, or a wrong reduction.
    """

    def __init__(
        self,
        linear: bool = False,
        eps: float = 1e-6,
        *,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        mode: str = "log",
    ) -> None:
        super().__init__(eps, reduction, loss_weight=loss_weight)
        self.mode = "linear" if linear else _check_mode(mode)

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Boxes (N, 4) and (N, 4) to (N,)."""
        return iou_loss(pred, target, mode=self.mode, eps=self.eps)


@MODELS.register_module()
class GIoULoss(_OverlapLoss):
    """1 - GIoU (Rezatofighi et al., arXiv:1902.09630).

    Args:
        eps: The least area that is divided by.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
    """

    overlap = "giou"


@MODELS.register_module()
class DIoULoss(_OverlapLoss):
    """1 - DIoU (Zheng et al., arXiv:1911.08287).

    Args:
        eps: The least area and squared diagonal that is divided by.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
    """

    overlap = "diou"


@MODELS.register_module()
class CIoULoss(_OverlapLoss):
    """1 - CIoU (Zheng et al., arXiv:2005.03572), whose aspect term counts where boxes overlap by half.

    Args:
        eps: The least area and squared diagonal that is divided by.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
    """

    overlap = "ciou"


@MODELS.register_module()
class BoundedIoULoss(WeightedLoss):
    """Upper bounds of the IoU, coordinate by coordinate (Tychsen-Smith and Petersson, arXiv:1711.00164).

    Args:
        beta: Where squares and L1 meet.
        eps: Added to what is divided by, in pixels.
        reduction: `none`, `mean` or `sum`, over (N, 4).
        loss_weight: Multiplies the result.
    """

    def __init__(
        self, beta: float = 0.2, eps: float = 1e-3, *, reduction: str = "mean", loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.beta, self.eps = beta, eps

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Boxes (N, 4) and (N, 4) to (N, 4)."""
        return bounded_iou_loss(pred, target, beta=self.beta, eps=self.eps)

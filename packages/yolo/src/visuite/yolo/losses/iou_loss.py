"""The loss of how far a box is from overlapping its target, by any of the overlaps' kinds.

Shapes: N boxes.
"""

from __future__ import annotations

import torch

from visuite.cv.losses.base import WeightedLoss
from visuite.cv.losses.reduce import AvgFactor
from visuite.cv.ops import bbox_overlaps, convert_boxes
from visuite.cv.ops.bbox_overlaps import OVERLAP_MODES
from visuite.engine.utils.text import did_you_mean
from visuite.yolo.registry import MODELS

#: How YOLO's configs call the ways to write a box: here `xywh` has the centre.
BOX_FORMATS = {"xywh": "cxcywh", "xyxy": "xyxy"}


@MODELS.register_module()
class IoULoss(WeightedLoss):
    """1 - IoU, or 1 - GIoU (arXiv:1902.09630), DIoU, CIoU (both arXiv:1911.08287) or SIoU (arXiv:2205.12740).

    Args:
        iou_mode: `iou`, `giou`, `diou`, `ciou` or `siou`; the aspect term of `ciou` counts for all boxes.
        bbox_format: `xywh`, the centre and the size, or `xyxy`.
        eps: The least area and squared distance that is divided by.
        reduction: `none`, `mean` or `sum`.
        loss_weight: Multiplies the result.
        return_iou: Return the overlaps beside the loss.

    Raises:
        ValueError: an unknown mode or format, or a wrong reduction.
    """

    def __init__(
        self,
        iou_mode: str = "ciou",
        bbox_format: str = "xywh",
        *,
        eps: float = 1e-7,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        return_iou: bool = True,
    ) -> None:
        super().__init__(reduction, loss_weight)
        for what, name, known in (("mode", iou_mode, OVERLAP_MODES), ("box format", bbox_format, BOX_FORMATS)):
            if name not in known:
                raise ValueError(f"{what} {name!r} is none of {tuple(known)}{did_you_mean(name, known)}")
        self.iou_mode, self.bbox_format = iou_mode, bbox_format
        self.eps = eps
        self.return_iou = return_iou

    def overlaps(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Boxes (N, 4) and (N, 4) to their overlaps (N,), at most 1."""
        source = BOX_FORMATS[self.bbox_format]
        found, wanted = (convert_boxes(boxes, source, "xyxy") for boxes in (pred, target))
        return bbox_overlaps(found, wanted, self.iou_mode, is_aligned=True, eps=self.eps, aspect_always=True)

    def elements(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Boxes (N, 4) and (N, 4) to (N,)."""
        return 1 - self.overlaps(pred, target)

    def forward(  # type: ignore[override]
        self,
        pred: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: AvgFactor = None,
        reduction_override: str | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the loss, and with `return_iou` the overlaps (N,) too.

        Args:
            pred: Boxes (N, 4).
            target: Boxes (N, 4).
            weight: (N,).
            avg_factor: What the sum is divided by, instead of the number of boxes.
            reduction_override: Used instead of the loss's own reduction.
        """
        overlaps = self.overlaps(pred, target)
        loss = self.reduce(1 - overlaps, weight, avg_factor, reduction_override)
        return (loss, overlaps) if self.return_iou else loss

    def extra_repr(self) -> str:
        """The settings."""
        return f"iou_mode={self.iou_mode!r}, bbox_format={self.bbox_format!r}, {super().extra_repr()}"

"""What a coder is: boxes to the numbers that a network learns, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from visuite.det.registry import TASK_UTILS

#: Where decoded boxes end: (h, w, ...) of one image, or one such for each image of a batch.
MaxShape = Sequence[int] | torch.Tensor | Sequence[Sequence[int]]


class BBoxCoder(ABC):
    """The base of coders; `encode_size` numbers stand for a box."""

    encode_size: ClassVar[int] = 4

    @abstractmethod
    def encode(self, bboxes: torch.Tensor, gt_bboxes: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Return the numbers that lead from priors to the boxes of objects."""

    @abstractmethod
    def decode(self, bboxes: torch.Tensor, pred_bboxes: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the boxes that numbers lead to from priors."""


@TASK_UTILS.register_module()
class PseudoBBoxCoder(BBoxCoder):
    """Learn boxes as they are."""

    def encode(self, bboxes: torch.Tensor, gt_bboxes: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the objects' boxes (N, 4)."""
        return gt_bboxes

    def decode(self, bboxes: torch.Tensor, pred_bboxes: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the predicted boxes (N, 4)."""
        return pred_bboxes


def clip_boxes(boxes: torch.Tensor, max_shape: MaxShape) -> torch.Tensor:
    """Move the corners of boxes that lie outside an image to its border.

    Args:
        boxes: (N, ..., 4), or, with a shape for each image, (B, N, ..., 4).
        max_shape: (h, w, ...), or B of them, as lists or as a tensor (B, 2).

    Raises:
        ValueError: another number of shapes than images.
    """
    if not isinstance(max_shape, torch.Tensor) and isinstance(max_shape[0], (Sequence, torch.Tensor)):
        max_shape = boxes.new_tensor([[shape[0], shape[1]] for shape in max_shape])  # type: ignore[index]
    if isinstance(max_shape, torch.Tensor):
        sides = max_shape.to(boxes)[..., :2].flip(-1)
        if sides.ndim == 2 and len(sides) != len(boxes):
            raise ValueError(f"{len(sides)} image shapes for boxes of shape {tuple(boxes.shape)}")
        sides = torch.cat((sides, sides), dim=-1)
        if sides.ndim == 2:
            sides = sides.reshape(-1, *(1,) * (boxes.ndim - 2), 4)
        return torch.minimum(boxes.clamp(min=0), sides)
    x1, y1, x2, y2 = boxes.unbind(-1)
    h, w = max_shape[0], max_shape[1]
    return torch.stack((x1.clamp(0, w), y1.clamp(0, h), x2.clamp(0, w), y2.clamp(0, h)), dim=-1)  # type: ignore[arg-type]

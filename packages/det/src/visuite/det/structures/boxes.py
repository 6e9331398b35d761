"""Boxes are plain tensors (N, 4), xyxy in pixels; code from elsewhere may wrap them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def box_tensor(boxes: Any) -> Tensor:
    """Return boxes (..., 4) as a tensor, taken out of an object that holds them as `.tensor`.

    Raises:
        TypeError: neither a tensor, an array nor such an object.
    """
    held = getattr(boxes, "tensor", boxes)
    if isinstance(held, Tensor):
        return held
    try:
        return torch.as_tensor(held)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"boxes are a tensor (N, 4) or hold one as .tensor, not a {type(boxes).__name__}") from None

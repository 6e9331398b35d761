"""Masks as arrays, whatever holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def mask_array(masks: Any) -> np.ndarray:
    """Return masks (N, H, W) bool of a container, a tensor or an array."""
    if hasattr(masks, "to_ndarray"):
        masks = masks.to_ndarray()
    return np.asarray(masks.cpu() if isinstance(masks, torch.Tensor) else masks).astype(bool)

"""Batches of normalised images, back to what can be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def tensor2imgs(
    tensor: Tensor,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    to_bgr: bool = True,
) -> list[np.ndarray]:
    """Undo the normalisation of a batch.

    Args:
        tensor: (B, C, H, W).
        mean: One number a channel; 0 by default.
        std: One number a channel; 1 by default.
        to_bgr: Turn RGB into BGR; needs three channels.

    Returns:
        B arrays (H, W, C) of uint8, rounded and cut off at 0 and 255.

    Raises:
        ValueError: another shape, or another count of numbers than of channels.
    """
    if not isinstance(tensor, Tensor) or tensor.ndim != 4:
        raise ValueError(f"images come as a tensor (B, C, H, W), not {tuple(getattr(tensor, 'shape', ()))}")
    channels = tensor.shape[1]
    if to_bgr and channels != 3:
        raise ValueError(f"only three channels can be turned into BGR, not {channels}: set to_bgr=False")
    shift = _per_channel(mean, 0.0, channels, tensor)
    scale = _per_channel(std, 1.0, channels, tensor)
    images = (tensor.detach().float() * scale + shift).round().clamp(0, 255).to(torch.uint8)
    arrays = (images.flip(1) if to_bgr else images).permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(image) for image in arrays]


def _per_channel(numbers: Sequence[float] | None, default: float, channels: int, like: Tensor) -> Tensor:
    values = [default] * channels if numbers is None else list(numbers)
    if len(values) != channels:
        raise ValueError(f"{len(values)} numbers were given for {channels} channels")
    return torch.tensor(values, dtype=torch.float32, device=like.device).view(1, -1, 1, 1)

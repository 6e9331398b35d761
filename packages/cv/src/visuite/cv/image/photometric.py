"""Functions on the values of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Numbers = float | Sequence[float] | np.ndarray


def imnormalize(img: np.ndarray, mean: Numbers, std: Numbers, to_rgb: bool = True) -> np.ndarray:
    """Return `(img - mean) / std` as float32 (H, W, C), after swapping blue and red when `to_rgb`."""
    values = img.astype(np.float32)
    if to_rgb:
        values = np.ascontiguousarray(values[..., ::-1])
    values -= np.asarray(mean, np.float32)
    values *= (1.0 / np.asarray(std, np.float64)).astype(np.float32)
    return values


def imdenormalize(img: np.ndarray, mean: Numbers, std: Numbers, to_bgr: bool = True) -> np.ndarray:
    """Undo `imnormalize`: return `img * std + mean` (H, W, C), with red and blue swapped back when `to_bgr`."""
    values = img * np.asarray(std, np.float32) + np.asarray(mean, np.float32)
    return np.ascontiguousarray(values[..., ::-1]) if to_bgr else values

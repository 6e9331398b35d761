"""Transforms that change pixels where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from visuite.cv.image.enhance import map_values, top_value
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CLAHE(BaseTransform):
    """Equalise the histogram of each channel within tiles, with a limit on contrast. Zuiderveld, 1994.

    Args:
        clip_limit: The limit.
        tile_grid_size: How many tiles there are, (columns, rows).

    Raises:
        TypeError: the image is neither uint8 nor uint16.
    """

    def __init__(self, clip_limit: float = 40.0, tile_grid_size: Sequence[int] = (8, 8)) -> None:
        self.clip_limit = clip_limit
        self.tile_grid_size = (tile_grid_size[0], tile_grid_size[1])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Equalise the image."""
        img = results["img"]
        if img.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"CLAHE takes images of uint8 or uint16, not {img.dtype}")
        equaliser = cv2.createCLAHE(self.clip_limit, self.tile_grid_size)
        planes = img.reshape(*img.shape[:2], -1)
        done = [equaliser.apply(np.ascontiguousarray(planes[..., i])) for i in range(planes.shape[2])]
        results["img"] = np.stack(done, axis=-1).reshape(img.shape)
        return results


@TRANSFORMS.register_module()
class AdjustGamma(BaseTransform):
    """Raise pixels, as shares of white, to the power of 1 / `gamma`; above 1 the image gets lighter.

    Args:
        gamma: The exponent.

    Raises:
        ValueError: it is not positive.
    """

    def __init__(self, gamma: float = 1.0) -> None:
        if gamma <= 0:
            raise ValueError(f"gamma is positive, not {gamma}")
        self.gamma = gamma

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change the image."""
        top = top_value(results["img"])
        results["img"] = map_values(results["img"], lambda values: top * (values / top) ** (1 / self.gamma))
        return results


@TRANSFORMS.register_module()
class Rerange(BaseTransform):
    """Stretch the image's values, float from here on, to a range; an image of one value gets the least.

    Args:
        min_value: The least.
        max_value: The largest.

    Raises:
        ValueError: they are no range.
    """

    def __init__(self, min_value: float = 0, max_value: float = 255) -> None:
        if not min_value < max_value:
            raise ValueError(f"({min_value}, {max_value}) is no range")
        self.min_value = min_value
        self.max_value = max_value

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Stretch the image."""
        img = results["img"].astype(np.float32)
        low, high = float(img.min()), float(img.max())
        factor = (self.max_value - self.min_value) / (high - low) if high > low else 0.0
        results["img"] = (img - low) * factor + self.min_value
        return results


@TRANSFORMS.register_module()
class RGB2Gray(BaseTransform):
    """Make every channel the weighted sum of all; the kind of the pixels stays.

    Args:
        out_channels: How many channels the result has; by default as many as the image.
        weights: Of the image's channels, in their order, which is blue, green, red where OpenCV loads.

    Raises:
        ValueError: there are other numbers of channels than of weights, or no channel is wanted.
    """

    def __init__(self, out_channels: int | None = None, weights: Sequence[float] = (0.299, 0.587, 0.114)) -> None:
        if out_channels is not None and out_channels < 1:
            raise ValueError(f"out_channels is at least 1, not {out_channels}")
        self.out_channels = out_channels
        self.weights = np.asarray(weights, np.float32)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Sum the channels up."""
        img = results["img"]
        if img.ndim != 3 or img.shape[2] != len(self.weights):
            raise ValueError(f"RGB2Gray has weights of {len(self.weights)} channels, the image is {img.shape}")
        grey = (img.astype(np.float32) @ self.weights)[..., None]
        if np.issubdtype(img.dtype, np.integer):
            grey = np.rint(grey).clip(0, np.iinfo(img.dtype).max)
        results["img"] = np.repeat(grey.astype(img.dtype), self.out_channels or img.shape[2], axis=2)
        results["img_shape"] = img.shape[:2]
        return results

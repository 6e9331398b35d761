"""Erasing a part of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.crop import Window
from visuite.engine.registry import TRANSFORMS

#: Draws of a shape that may not fit into the image, before it is left alone.
_ATTEMPTS = 10


@dataclass(frozen=True)
class Patch:
    """What `RandomErasing` draws: a window of the image, and the pixels that come there."""

    window: Window
    pixels: np.ndarray


@TRANSFORMS.register_module()
class RandomErasing(RandomTransform):
    """Fill a random rectangle. Zhong et al., Random Erasing Data Augmentation, 2017.

    Args:
        erase_prob: The chance of it.
        min_area_ratio: The least area of the rectangle over the image's.
        max_area_ratio: The largest.
        aspect_range: The rectangle's height over its width; a number x stands for the range of x and 1 / x.
        mode: `const` fills with `fill_color`, `rand` with noise.
        fill_color: One value, or one per channel; in `rand` with `fill_std` the mean of the noise.
        fill_std: Deviation of normal noise: one value, or one per channel. None: values from 0 to 255, evenly.

    Raises:
        ValueError: a chance or ranges that are none, or an unknown mode.
    """

    def __init__(
        self,
        erase_prob: float = 0.5,
        min_area_ratio: float = 0.02,
        *,
        max_area_ratio: float = 0.4,
        aspect_range: float | Sequence[float] = (3 / 10, 10 / 3),
        mode: str = "const",
        fill_color: float | Sequence[float] = (128, 128, 128),
        fill_std: float | Sequence[float] | None = None,
    ) -> None:
        if isinstance(aspect_range, (int, float)):
            aspect_range = sorted((aspect_range, 1 / aspect_range))
        if not 0 <= erase_prob <= 1 or not 0 <= min_area_ratio <= max_area_ratio <= 1:
            raise ValueError(f"0 <= erase_prob {erase_prob} <= 1, and so {min_area_ratio} <= {max_area_ratio}")
        if not 0 < aspect_range[0] <= aspect_range[1]:
            raise ValueError(f"aspect_range {tuple(aspect_range)} is no range of ratios")
        if mode not in ("const", "rand"):
            raise ValueError(f"mode {mode!r} is neither 'const' nor 'rand'")
        self.erase_prob = erase_prob
        self.area_range = (min_area_ratio, max_area_ratio)
        self.aspect_range = (aspect_range[0], aspect_range[1])
        self.mode = mode
        self.fill_color = np.atleast_1d(np.asarray(fill_color, np.float32))
        self.fill_std = None if fill_std is None else np.atleast_1d(np.asarray(fill_std, np.float32))

    def draw(self, results: dict[str, Any]) -> Patch | None:
        """Draw the rectangle and what fills it; None leaves the image alone."""
        if np.random.random() >= self.erase_prob:
            return None
        h, w = results["img"].shape[:2]
        low, high = np.log(self.aspect_range)
        for _ in range(_ATTEMPTS):
            area, aspect = h * w * np.random.uniform(*self.area_range), math.exp(np.random.uniform(low, high))
            tall, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if tall <= h and wide <= w:
                y1, x1 = np.random.randint(0, h - tall + 1), np.random.randint(0, w - wide + 1)
                shape = (tall, wide, *results["img"].shape[2:])
                return Patch((x1, y1, x1 + wide, y1 + tall), self._pixels(shape))
        return None

    def apply(self, results: dict[str, Any], drawn: Patch | None) -> dict[str, Any]:
        """Fill the rectangle."""
        if drawn is not None:
            x1, y1, x2, y2 = drawn.window
            results["img"] = results["img"].copy()
            results["img"][y1:y2, x1:x2] = drawn.pixels.astype(results["img"].dtype)
        return results

    def _pixels(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return what fills a rectangle of this shape, from 0 to 255."""
        if self.mode == "const":
            return np.broadcast_to(self.fill_color if len(shape) == 3 else self.fill_color.mean(), shape)
        if self.fill_std is None:
            return np.random.uniform(0, 256, shape)
        return np.random.normal(self.fill_color, self.fill_std, shape).clip(0, 255)

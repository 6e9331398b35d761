"""Erasing parts of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.crop import Window
from visuite.cv.transforms.moves import Numbers, seg_keys
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


@TRANSFORMS.register_module()
class CutOut(RandomTransform):
    """Fill some rectangles of the image. DeVries and Taylor, arXiv:1708.04552.

    Args:
        n_holes: How many, or the least and the most.
        cutout_shape: (w, h) of a rectangle in pixels, or a list of which chance takes one for each.
        cutout_ratio: In place of it: shares of the image's width and height, or a list.
        fill_in: What fills them, one value per channel.
        seg_fill_in: What fills maps of classes there; by default they stay as they are.
        prob: The chance of it.

    Raises:
        ValueError: both or none of `cutout_shape` and `cutout_ratio`, or a range that is none.
    """

    def __init__(
        self,
        n_holes: int | Sequence[int],
        cutout_shape: Sequence[Any] | None = None,
        *,
        cutout_ratio: Sequence[Any] | None = None,
        fill_in: Numbers = (0, 0, 0),
        seg_fill_in: int | None = None,
        prob: float = 1.0,
    ) -> None:
        if (cutout_shape is None) == (cutout_ratio is None):
            raise ValueError("CutOut needs either cutout_shape or cutout_ratio")
        sizes: Any = cutout_shape if cutout_shape is not None else cutout_ratio
        self.sizes = [tuple(one) for one in (sizes if isinstance(sizes, list) else [sizes])]
        self.relative = cutout_ratio is not None
        self.n_holes = number_range(n_holes, "n_holes")
        self.fill_in = fill_in
        self.seg_fill_in = seg_fill_in
        self.prob = prob

    def draw(self, results: dict[str, Any]) -> list[Window]:
        """Return the rectangles."""
        if self.prob < 1 and np.random.random() >= self.prob:
            return []
        h, w = results["img"].shape[:2]
        holes = []
        for _ in range(np.random.randint(self.n_holes[0], self.n_holes[1] + 1)):
            x, y = np.random.randint(w), np.random.randint(h)
            wide, tall = self.sizes[np.random.randint(len(self.sizes))]
            wide, tall = (int(w * wide), int(h * tall)) if self.relative else (wide, tall)
            holes.append((x, y, min(x + wide, w), min(y + tall, h)))
        return holes

    def apply(self, results: dict[str, Any], drawn: Sequence[Window]) -> dict[str, Any]:
        """Fill the rectangles."""
        filled: dict[str, Any] = {"img": self.fill_in}
        if self.seg_fill_in is not None:
            filled |= dict.fromkeys(seg_keys(results), self.seg_fill_in)
        for key, value in filled.items() if drawn else ():
            results[key] = results[key].copy()
            for x1, y1, x2, y2 in drawn:
                results[key][y1:y2, x1:x2] = value
        return results


def number_range(given: Any, name: str) -> tuple[Any, Any]:
    """Return a number, or the least and the largest, as a range."""
    low, high = (given, given) if isinstance(given, (int, float)) else given
    if not 0 <= low <= high:
        raise ValueError(f"{name} {given} is no range: 0 <= least <= largest")
    return low, high

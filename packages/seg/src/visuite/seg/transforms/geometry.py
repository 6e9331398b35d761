"""Transforms that move the image and its map together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.image.warp import bounded, rotation_matrix
from visuite.cv.transforms import RandomTransform, warp_sample
from visuite.cv.transforms.crop import Window
from visuite.cv.transforms.moves import Numbers, crop_sample, flip_sample, record_homography, resize_sample, seg_keys
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.seg.registry import TRANSFORMS

#: Windows that are tried before the last one is taken as it is.
_ATTEMPTS = 10


@TRANSFORMS.register_module()
class ResizeToMultiple(BaseTransform):
    """Enlarge image and map until both edges are multiples of a number; set `img_shape`, `pad_shape`, `scale_factor`.

    Args:
        size_divisor: The number.
        interpolation: Of the image; by default `bilinear`.
    """

    def __init__(self, size_divisor: int = 32, interpolation: str | None = None) -> None:
        self.size_divisor = size_divisor
        self.interpolation = interpolation

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the sample."""
        h, w = (-(-edge // self.size_divisor) * self.size_divisor for edge in results["img"].shape[:2])
        resize_sample(results, (w, h), interpolation=self.interpolation or "bilinear")
        results["pad_shape"] = results["img_shape"]
        return results


@TRANSFORMS.register_module()
class RandomCrop(RandomTransform):
    """Cut out a window at a random place, if it can be one in which no class covers too much; set `img_shape`.

    Args:
        crop_size: (h, w), or one number for both. Of smaller images what there is.
        cat_max_ratio: The largest share that a single class may have of the window's pixels; 1 allows all. After ten
            windows the last one is taken.
        ignore_index: The class whose pixels count for nothing.

    Raises:
        ValueError: a size or a share that is none.
    """

    def __init__(self, crop_size: int | Sequence[int], cat_max_ratio: float = 1.0, *, ignore_index: int = 255) -> None:
        size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(size) != 2 or min(size) <= 0 or not 0 < cat_max_ratio <= 1:
            raise ValueError(f"crop_size {crop_size} is (height, width), and cat_max_ratio {cat_max_ratio} a share")
        self.crop_size = size
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index

    def draw(self, results: dict[str, Any]) -> Window:
        """Draw the window."""
        window = self._window(results["img"].shape)
        maps = seg_keys(results) if self.cat_max_ratio < 1 else []
        for _ in range(_ATTEMPTS if maps else 0):
            x1, y1, x2, y2 = window
            if self._is_mixed(results[maps[0]][y1:y2, x1:x2]):
                break
            window = self._window(results["img"].shape)
        return window

    def apply(self, results: dict[str, Any], drawn: Window) -> dict[str, Any]:
        """Cut the window out."""
        crop_sample(results, drawn)
        return results

    def _window(self, shape: Sequence[int]) -> Window:
        tall, wide = min(self.crop_size[0], shape[0]), min(self.crop_size[1], shape[1])
        y1, x1 = np.random.randint(0, shape[0] - tall + 1), np.random.randint(0, shape[1] - wide + 1)
        return x1, y1, x1 + wide, y1 + tall

    def _is_mixed(self, seg_map: np.ndarray) -> bool:
        """Say whether a part of a map (h, w) holds several classes, none of them too large."""
        classes, counts = np.unique(seg_map, return_counts=True)
        counts = counts[classes != self.ignore_index]
        return len(counts) > 1 and bool(counts.max() < self.cat_max_ratio * counts.sum())


@TRANSFORMS.register_module()
class RandomRotate(RandomTransform):
    """Turn image and map clockwise.

    Args:
        prob: The chance of it.
        degree: The range of degrees; a number d stands for (-d, d).
        pad_val: What fills the corners: one value, or one per channel.
        seg_pad_val: What fills the corners of maps.
        center: (x, y) that it turns about; by default the image's middle.
        auto_bound: Let the image grow or shrink to hold all of it.

    Raises:
        ValueError: a chance or a range that is none, or `center` with `auto_bound`.
    """

    def __init__(
        self,
        prob: float,
        degree: float | Sequence[float],
        *,
        pad_val: Numbers = 0,
        seg_pad_val: float = 255,
        center: tuple[float, float] | None = None,
        auto_bound: bool = False,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob {prob} is no chance")
        if center is not None and auto_bound:
            raise ValueError("auto_bound turns about the middle: give no center with it")
        self.prob = prob
        self.degree = degree_range(degree)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.center = center
        self.auto_bound = auto_bound

    def draw(self, results: dict[str, Any]) -> float | None:
        """Return the degrees, or None for no turn."""
        return np.random.uniform(*self.degree) if np.random.random() < self.prob else None

    def apply(self, results: dict[str, Any], drawn: float | None) -> dict[str, Any]:
        """Turn the sample."""
        if drawn is not None:
            size = (results["img"].shape[1], results["img"].shape[0])
            matrix = rotation_matrix(size, drawn, self.center)
            if self.auto_bound:
                matrix, size = bounded(matrix, size)
            warp_sample(results, matrix, size, pad_val=self.pad_val, seg_pad_val=self.seg_pad_val)
        return results


@dataclass(frozen=True)
class TurnAndFlip:
    """What `RandomRotFlip` draws: quarters counterclockwise and a flip after them, then degrees clockwise."""

    quarters: int = 0
    direction: str | None = None
    degrees: float | None = None


@TRANSFORMS.register_module()
class RandomRotFlip(RandomTransform):
    """Turn image and map by quarters and flip them, and turn them by a few degrees, each with a chance of its own.

    Args:
        rotate_prob: The chance of a turn by degrees, whose corners are filled with 0, in maps too.
        flip_prob: The chance of quarters and a flip, horizontal or vertical.
        degree: The range of degrees; a number d stands for (-d, d).

    Raises:
        ValueError: a chance or a range that is none.
    """

    def __init__(
        self, rotate_prob: float = 0.5, flip_prob: float = 0.5, *, degree: float | Sequence[float] = (-20, 20)
    ) -> None:
        if not 0 <= rotate_prob <= 1 or not 0 <= flip_prob <= 1:
            raise ValueError(f"rotate_prob {rotate_prob} and flip_prob {flip_prob} are chances")
        self.rotate_prob = rotate_prob
        self.flip_prob = flip_prob
        self.degree = degree_range(degree)

    def draw(self, results: dict[str, Any]) -> TurnAndFlip:
        """Draw both parts."""
        turned = np.random.random() < self.rotate_prob
        flipped = np.random.random() < self.flip_prob
        return TurnAndFlip(
            quarters=int(np.random.randint(4)) if flipped else 0,
            direction=("horizontal", "vertical")[np.random.randint(2)] if flipped else None,
            degrees=float(np.random.uniform(*self.degree)) if turned else None,
        )

    def apply(self, results: dict[str, Any], drawn: TurnAndFlip) -> dict[str, Any]:
        """Move the sample."""
        _turn_quarters(results, drawn.quarters)
        if drawn.direction is not None:
            flip_sample(results, drawn.direction)
        if drawn.degrees is not None:
            matrix = rotation_matrix((results["img"].shape[1], results["img"].shape[0]), drawn.degrees)
            warp_sample(results, matrix, seg_pad_val=0)
        return results


def degree_range(degree: float | Sequence[float]) -> tuple[float, float]:
    """Return a range of degrees, d standing for (-d, d).

    Raises:
        ValueError: a negative number, or no pair.
    """
    pair = (-degree, degree) if isinstance(degree, (int, float)) else tuple(degree)
    if len(pair) != 2 or pair[0] > pair[1]:
        raise ValueError(f"degree {degree} is neither a number above 0 nor a range")
    return pair[0], pair[1]


def _turn_quarters(results: dict[str, Any], quarters: int) -> None:
    """Turn image and maps counterclockwise, exactly."""
    if not quarters:
        return
    for key in ("img", *seg_keys(results)):
        results[key] = np.ascontiguousarray(np.rot90(results[key], quarters))
    for _ in range(quarters):
        width = results["img_shape"][1]
        results["img_shape"] = results["img_shape"][::-1]
        record_homography(results, np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([0.0, width]))

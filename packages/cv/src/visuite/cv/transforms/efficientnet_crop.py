"""The crops that EfficientNet was trained and tested with. Tan and Le, EfficientNet, 2019."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.crop import Window
from visuite.cv.transforms.moves import crop_sample, resize_sample
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class EfficientNetRandomCrop(RandomTransform):
    """Cut out a window of random shape and size, and resize it to a square; set `img_shape`.

    Args:
        scale: The square's edge in pixels.
        min_covered: The least area of the window over the image's, whatever `crop_ratio_range` says.
        crop_padding: When no window fits, the middle is taken, smaller than the short edge by the factor
            `scale / (scale + crop_padding)`.
        interpolation: Of the image.
        backend: `cv2` or `pillow`.
        crop_ratio_range: The window's area over the image's.
        aspect_ratio_range: The window's width over its height.
        max_attempts: Draws before the middle is taken.
    """

    def __init__(
        self,
        scale: int,
        min_covered: float = 0.1,
        *,
        crop_padding: int = 32,
        interpolation: str = "bicubic",
        backend: str = "cv2",
        crop_ratio_range: tuple[float, float] = (0.08, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        max_attempts: int = 10,
    ) -> None:
        if crop_padding < 0 or not 0 <= min_covered <= 1:
            raise ValueError(f"crop_padding {crop_padding} must not be negative, min_covered {min_covered} in [0, 1]")
        self.scale = scale
        self.min_covered = min_covered
        self.crop_padding = crop_padding
        self.interpolation = interpolation
        self.backend = backend
        self.crop_ratio_range = crop_ratio_range
        self.aspect_ratio_range = aspect_ratio_range
        self.max_attempts = max_attempts

    def draw(self, results: dict[str, Any]) -> Window:
        """Draw the shape, then the height between those of the smallest and largest window that fit, then the place."""
        h, w = results["img"].shape[:2]
        smallest, largest = (ratio * h * w for ratio in self.crop_ratio_range)
        for _ in range(self.max_attempts):
            aspect = np.random.uniform(*self.aspect_ratio_range)
            most = min(round(math.sqrt(largest / aspect)), h, int((w + 0.5) / aspect))
            least = min(round(math.sqrt(smallest / aspect)), most)
            tall = np.random.randint(least, most + 1)
            wide = min(round(tall * aspect), w)
            if tall > 0 and wide > 0 and max(smallest, self.min_covered * h * w) <= tall * wide <= largest:
                y1, x1 = np.random.randint(0, h - tall + 1), np.random.randint(0, w - wide + 1)
                return x1, y1, x1 + wide, y1 + tall
        return padded_middle(h, w, self.scale, self.crop_padding)

    def apply(self, results: dict[str, Any], drawn: Window) -> dict[str, Any]:
        """Cut the window out and resize it."""
        crop_sample(results, drawn)
        resize_sample(results, (self.scale, self.scale), interpolation=self.interpolation, backend=self.backend)
        return results


@TRANSFORMS.register_module()
class EfficientNetCenterCrop(BaseTransform):
    """Cut out the middle square, a little smaller than the short edge, and resize it; set `img_shape`.

    Args:
        crop_size: The final edge in pixels.
        crop_padding: The square is `crop_size / (crop_size + crop_padding)` of the short edge.
        interpolation: Of the image.
        backend: `cv2` or `pillow`.
    """

    def __init__(
        self, crop_size: int, crop_padding: int = 32, *, interpolation: str = "bicubic", backend: str = "cv2"
    ) -> None:
        if crop_size <= 0 or crop_padding < 0:
            raise ValueError(f"crop_size {crop_size} must be positive, crop_padding {crop_padding} not negative")
        self.crop_size = crop_size
        self.crop_padding = crop_padding
        self.interpolation = interpolation
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop and resize the sample."""
        h, w = results["img"].shape[:2]
        before = results.get("scale_factor")
        crop_sample(results, padded_middle(h, w, self.crop_size, self.crop_padding))
        size = (self.crop_size, self.crop_size)
        resize_sample(results, size, interpolation=self.interpolation, backend=self.backend)
        if before is None:  # boxes of the whole image are not to be scaled by a part of it
            results.pop("scale_factor")
        else:
            results["scale_factor"] = before
        return results


def padded_middle(h: int, w: int, size: int, padding: int) -> Window:
    """Return the middle square of `size / (size + padding)` of the short edge of an image (h, w)."""
    edge = max(1, int(size / (size + padding) * min(h, w)))
    x1, y1 = round((w - edge) / 2), round((h - edge) / 2)
    return x1, y1, x1 + edge, y1 + edge

"""Transforms that cut a part out of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.moves import Numbers, crop_sample, pad_sample, resize_sample
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS

#: x1, y1, x2, y2 in pixels, the right and lower edge being outside.
Window = tuple[int, int, int, int]


@TRANSFORMS.register_module()
class CenterCrop(BaseTransform):
    """Cut out the middle of the image; set `img_shape`.

    Args:
        crop_size: (w, h), or one number for both. A larger size takes what there is, unless `auto_pad`.
        auto_pad: Pad smaller images to the size first.
        pad_cfg: The arguments of that `Pad`, without its size.
        clip_object_border: Clip boxes to the image.
    """

    def __init__(
        self,
        crop_size: int | tuple[int, int],
        auto_pad: bool = False,
        *,
        pad_cfg: dict[str, Any] | None = None,
        clip_object_border: bool = True,
    ) -> None:
        self.crop_size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        self.auto_pad = auto_pad
        self.pad_cfg = {"type": "Pad", **(pad_cfg or {})}
        self.clip_object_border = clip_object_border

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop the sample."""
        h, w = results["img"].shape[:2]
        crop_w, crop_h = self.crop_size
        if self.auto_pad and (w < crop_w or h < crop_h):
            size = (max(w, crop_w), max(h, crop_h))
            results = TRANSFORMS.build({**self.pad_cfg, "size": size})(results)
            h, w = results["img"].shape[:2]
        x1, y1 = max(0, round((w - crop_w) / 2)), max(0, round((h - crop_h) / 2))
        window = (x1, y1, min(w, x1 + crop_w), min(h, y1 + crop_h))
        crop_sample(results, window, clip_boxes=self.clip_object_border)
        return results


@dataclass(frozen=True)
class PaddedCrop:
    """What `RandomCrop` draws: borders (left, top, right, bottom), and the window in the padded image."""

    padding: tuple[int, int, int, int]
    window: Window


class RandomCrop(RandomTransform):
    """Cut out a window at a random place, of one size always; set `img_shape`.

    Classification registers it in its scope: in detection and segmentation this name means other rules.

    Args:
        crop_size: (h, w), or one number for both.
        padding: Borders to add first: one number, (left and right, top and bottom) or (left, top, right, bottom).
        pad_if_needed: Pad images that are smaller than the window, on both sides.
        pad_val: One value, or one per channel.
        padding_mode: `constant`, `edge`, `reflect` or `symmetric`.

    Raises:
        ValueError: the image is smaller than the window and may not be padded.
    """

    def __init__(
        self,
        crop_size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        *,
        pad_if_needed: bool = False,
        pad_val: Numbers = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.crop_size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.pad_val = pad_val
        self.padding_mode = padding_mode

    def draw(self, results: dict[str, Any]) -> PaddedCrop:
        """Draw the window's place."""
        h, w = results["img"].shape[:2]
        left, top, right, bottom = self._borders(h, w)
        rows, columns = h + top + bottom - self.crop_size[0], w + left + right - self.crop_size[1]
        if rows < 0 or columns < 0:
            raise ValueError(f"an image {h}x{w} is smaller than the crop {self.crop_size}: set pad_if_needed=True")
        y1, x1 = np.random.randint(0, rows + 1), np.random.randint(0, columns + 1)
        return PaddedCrop((left, top, right, bottom), (x1, y1, x1 + self.crop_size[1], y1 + self.crop_size[0]))

    def apply(self, results: dict[str, Any], drawn: PaddedCrop) -> dict[str, Any]:
        """Pad, then cut the window out."""
        if any(drawn.padding):
            pad_sample(results, drawn.padding, pad_val=self.pad_val, padding_mode=self.padding_mode)
        crop_sample(results, drawn.window)
        return results

    def _borders(self, h: int, w: int) -> tuple[int, int, int, int]:
        """Return the borders (left, top, right, bottom) that an image of this shape gets."""
        given = self.padding or 0
        widths = (given,) * 4 if isinstance(given, int) else tuple(given)
        left, top, right, bottom = (widths * 2)[:4] if len(widths) == 2 else widths
        if self.pad_if_needed:
            tall = max(0, self.crop_size[0] - h - top - bottom)
            wide = max(0, self.crop_size[1] - w - left - right)
            left, top, right, bottom = left + wide, top + tall, right + wide, bottom + tall
        return left, top, right, bottom


@TRANSFORMS.register_module()
class RandomResizedCrop(RandomTransform):
    """Cut out a window of random area and shape, and resize it to one size; set `img_shape`.

    Szegedy et al., Going Deeper with Convolutions, 2014.

    Args:
        scale: The final size (h, w), or one number for both.
        crop_ratio_range: The window's area over the image's.
        aspect_ratio_range: The window's width over its height.
        max_attempts: Draws that may fall outside the image, before its middle is taken.
        interpolation: Of the image.
        backend: `cv2` or `pillow`.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        crop_ratio_range: tuple[float, float] = (0.08, 1.0),
        *,
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        max_attempts: int = 10,
        interpolation: str = "bilinear",
        backend: str = "cv2",
    ) -> None:
        self.scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
        self.crop_ratio_range = crop_ratio_range
        self.aspect_ratio_range = aspect_ratio_range
        self.max_attempts = max_attempts
        self.interpolation = interpolation
        self.backend = backend
        for low, high in (crop_ratio_range, aspect_ratio_range):
            if not 0 < low <= high:
                raise ValueError(f"({low}, {high}) is no range of ratios: 0 < low <= high")

    def draw(self, results: dict[str, Any]) -> Window:
        """Draw the window."""
        h, w = results["img"].shape[:2]
        for _ in range(self.max_attempts):
            area = h * w * np.random.uniform(*self.crop_ratio_range)
            low, high = self.aspect_ratio_range
            aspect = math.exp(np.random.uniform(math.log(low), math.log(high)))
            wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < wide <= w and 0 < tall <= h:
                y1, x1 = np.random.randint(0, h - tall + 1), np.random.randint(0, w - wide + 1)
                return x1, y1, x1 + wide, y1 + tall
        return self._middle(h, w)

    def apply(self, results: dict[str, Any], drawn: Window) -> dict[str, Any]:
        """Cut the window out and resize it."""
        crop_sample(results, drawn)
        size = (self.scale[1], self.scale[0])
        resize_sample(results, size, interpolation=self.interpolation, backend=self.backend)
        return results

    def _middle(self, h: int, w: int) -> Window:
        """Return the largest centred window of an allowed shape."""
        low, high = self.aspect_ratio_range
        wide, tall = min(w, round(h * high)), min(h, round(w / low))
        x1, y1 = (w - wide) // 2, (h - tall) // 2
        return x1, y1, x1 + wide, y1 + tall

"""Augmentation of colours under detection's arguments: nothing moves, so that only the image is concerned.

Zoph et al., Learning Data Augmentation Strategies for Object Detection, arXiv:1906.11172.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import cv2
import numpy as np

from visuite.cv.image import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    auto_contrast,
    imequalize,
    iminvert,
    posterize,
    solarize,
    solarize_add,
)
from visuite.cv.transforms import RandomTransform
from visuite.det.registry import TRANSFORMS
from visuite.det.transforms.levels import LevelledTransform


class ColourTransform(LevelledTransform):
    """The base of these: a subclass says what it does to an image (H, W, C), and the ends of its strength.

    Its arguments are those of `LevelledTransform`, but for the reversal.
    """

    ends: ClassVar = (0.1, 1.9)

    def __init__(
        self,
        prob: float = 1.0,
        level: float | None = None,
        *,
        min_mag: float | None = None,
        max_mag: float | None = None,
    ) -> None:
        super().__init__(prob, level, min_mag=min_mag, max_mag=max_mag)

    @abstractmethod
    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Return the changed image."""

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Change the image."""
        results["img"] = self.adjusted(results["img"], strength)


@TRANSFORMS.register_module(["Color", "ColorTransform"])
class Color(ColourTransform):
    """Multiply the colours: at 0 none is left, at 1 nothing changes."""

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Adjust the image."""
        return adjust_color(img, strength)


@TRANSFORMS.register_module()
class Brightness(ColourTransform):
    """Multiply the brightness: at 0 the image is black, at 1 nothing changes."""

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Adjust the image."""
        return adjust_brightness(img, strength)


@TRANSFORMS.register_module()
class Contrast(ColourTransform):
    """Multiply the contrast: at 0 the image is an even grey, at 1 nothing changes."""

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Adjust the image."""
        return adjust_contrast(img, strength)


@TRANSFORMS.register_module()
class Sharpness(ColourTransform):
    """Multiply the sharpness: at 0 the image is smoothed, at 1 nothing changes."""

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Adjust the image."""
        return adjust_sharpness(img, strength)


@TRANSFORMS.register_module()
class Solarize(ColourTransform):
    """Invert the values that are at least the strength."""

    ends: ClassVar = (0.0, 256.0)

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Adjust the image."""
        return solarize(img, strength)


@TRANSFORMS.register_module()
class SolarizeAdd(ColourTransform):
    """Add the strength to the values below 128."""

    ends: ClassVar = (0.0, 110.0)

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Adjust the image."""
        return solarize_add(img, strength)


@TRANSFORMS.register_module()
class Posterize(ColourTransform):
    """Keep as many of the highest bits of each value as the strength says, rounded up."""

    ends: ClassVar = (0.0, 4.0)

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Keep the bits."""
        return posterize(img, math.ceil(strength))


@TRANSFORMS.register_module()
class Equalize(ColourTransform):
    """Equalise the histogram of each channel, whatever the strength."""

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Equalise."""
        return imequalize(img)


@TRANSFORMS.register_module()
class AutoContrast(ColourTransform):
    """Stretch each channel to the full range, whatever the strength."""

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Stretch."""
        return auto_contrast(img)


@TRANSFORMS.register_module()
class Invert(ColourTransform):
    """Make the negative, whatever the strength."""

    def adjusted(self, img: np.ndarray, strength: float) -> np.ndarray:
        """Invert."""
        return iminvert(img)


@TRANSFORMS.register_module()
class YOLOXHSVRandomAug(RandomTransform):
    """Shift hue, saturation and value of a BGR image of bytes, each with a chance of one half. YOLOX, arXiv:2107.08430.

    Args:
        hue_delta: The most that the hue is shifted, either way, of a circle of 180.
        saturation_delta: The most for the saturation, of 255.
        value_delta: The most for the value, of 255.
    """

    def __init__(self, hue_delta: float = 5, saturation_delta: float = 30, *, value_delta: float = 30) -> None:
        self.deltas = np.array([hue_delta, saturation_delta, value_delta])

    def draw(self, results: dict[str, Any]) -> np.ndarray:
        """Return the shifts (3,), whole numbers."""
        shifts = np.random.uniform(-1, 1, 3) * self.deltas
        return (shifts * np.random.randint(0, 2, 3)).astype(np.int16)

    def apply(self, results: dict[str, Any], drawn: np.ndarray) -> dict[str, Any]:
        """Shift the colours.

        Raises:
            TypeError: the image does not hold bytes.
        """
        if results["img"].dtype != np.uint8:
            raise TypeError(f"YOLOXHSVRandomAug works on bytes, not {results['img'].dtype}: do it before others")
        hsv = cv2.cvtColor(results["img"], cv2.COLOR_BGR2HSV).astype(np.int16) + drawn
        hsv[..., 0] %= 180
        results["img"] = cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)
        return results

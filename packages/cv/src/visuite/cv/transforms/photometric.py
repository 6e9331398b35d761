"""Random colours and light: nothing moves, so that only the image is concerned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from visuite.cv.image import adjust_brightness, adjust_color, adjust_contrast, adjust_hue
from visuite.cv.image.enhance import top_value
from visuite.cv.transforms.base import RandomTransform
from visuite.engine.registry import TRANSFORMS

Range = tuple[float, float]
_ADJUSTMENTS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_color,
    "hue": adjust_hue,
}


@TRANSFORMS.register_module()
class ColorJitter(RandomTransform):
    """Change brightness, contrast, saturation and hue of a BGR image by random factors, in random order.

    Args:
        brightness: The range of the factor; a number x stands for (max(0, 1 - x), 1 + x).
        contrast: As `brightness`.
        saturation: As `brightness`.
        hue: The range of turns of the colour circle, within [-0.5, 0.5]; a number x stands for (-x, x).
        backend: `pillow` or `cv2`; configs name it, and the numbers are the same.

    Raises:
        ValueError: a range that is none, or an unknown backend.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        *,
        saturation: float | Sequence[float] = 0.0,
        hue: float | Sequence[float] = 0.0,
        backend: str = "pillow",
    ) -> None:
        if backend not in ("pillow", "cv2"):
            raise ValueError(f"backend {backend!r} is neither 'pillow' nor 'cv2'")
        self.backend = backend
        self.ranges = {
            "brightness": _around(brightness, 1.0, (0.0, float("inf")), "brightness"),
            "contrast": _around(contrast, 1.0, (0.0, float("inf")), "contrast"),
            "saturation": _around(saturation, 1.0, (0.0, float("inf")), "saturation"),
            "hue": _around(hue, 0.0, (-0.5, 0.5), "hue"),
        }

    def draw(self, results: dict[str, Any]) -> list[tuple[str, float]]:
        """Return the adjustments and their factors, in the order in which they are done."""
        names = [name for name, (low, high) in self.ranges.items() if (low, high) != (_neutral(name),) * 2]
        return [(names[i], np.random.uniform(*self.ranges[names[i]])) for i in np.random.permutation(len(names))]

    def apply(self, results: dict[str, Any], drawn: Sequence[tuple[str, float]]) -> dict[str, Any]:
        """Adjust the image."""
        for name, factor in drawn:
            results["img"] = _ADJUSTMENTS[name](results["img"], factor)
        return results


@TRANSFORMS.register_module()
class RandomGrayscale(RandomTransform):
    """Make the image grey.

    Args:
        prob: The chance of it.
        keep_channels: Repeat the grey over all channels; else one channel (H, W, 1) is left.
        channel_weights: The channels' weights, in the order of the image.
        color_format: `bgr` or `rgb`: the order in which `channel_weights` are given for. The image is in BGR order.
    """

    def __init__(
        self,
        prob: float = 0.1,
        keep_channels: bool = False,
        *,
        channel_weights: Sequence[float] = (1.0, 1.0, 1.0),
        color_format: str = "bgr",
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob {prob} is no chance: it must lie between 0 and 1")
        if color_format not in ("bgr", "rgb"):
            raise ValueError(f"color_format {color_format!r} is neither 'bgr' nor 'rgb'")
        self.prob = prob
        self.keep_channels = keep_channels
        self.channel_weights = tuple(channel_weights)
        self.color_format = color_format

    def draw(self, results: dict[str, Any]) -> bool:
        """Return whether to do it."""
        return np.random.random() < self.prob

    def apply(self, results: dict[str, Any], drawn: bool) -> dict[str, Any]:
        """Make it grey."""
        if drawn:
            img = results["img"]
            weights = np.array(self.channel_weights[:: -1 if self.color_format == "rgb" else 1], np.float32)
            if img.ndim != 3 or img.shape[2] != len(weights):
                raise ValueError(f"{len(weights)} channel_weights for an image of shape {img.shape}")
            grey = (img @ (weights / weights.sum()))[..., None]
            grey = (np.rint(grey) if np.issubdtype(img.dtype, np.integer) else grey).astype(img.dtype)
            results["img"] = np.repeat(grey, img.shape[2], axis=2) if self.keep_channels else grey
        return results


@TRANSFORMS.register_module()
class Lighting(RandomTransform):
    """Add a random colour, drawn along the principal axes of the colours. Krizhevsky et al., ImageNet ..., 2012.

    Args:
        eigval: The eigenvalues (3,) of the covariance of the colours, which run from 0 to 255.
        eigvec: The eigenvectors (3, 3), one in each column.
        alphastd: Deviation of the weights of the axes.
        to_rgb: Swap blue and red first, and leave the image so.
    """

    def __init__(
        self,
        eigval: Sequence[float],
        eigvec: Sequence[Sequence[float]],
        *,
        alphastd: float = 0.1,
        to_rgb: bool = False,
    ) -> None:
        self.eigval = np.asarray(eigval, np.float32)
        self.eigvec = np.asarray(eigvec, np.float32)
        if self.eigvec.shape != (len(self.eigval),) * 2:
            raise ValueError(f"eigvec of shape {self.eigvec.shape} does not go with {len(self.eigval)} eigenvalues")
        self.alphastd = alphastd
        self.to_rgb = to_rgb

    def draw(self, results: dict[str, Any]) -> np.ndarray:
        """Return the weights of the axes."""
        return np.random.normal(0, self.alphastd, len(self.eigval))

    def apply(self, results: dict[str, Any], drawn: np.ndarray) -> dict[str, Any]:
        """Add the colour; the image becomes float32, as the sum is no integer."""
        img = results["img"][..., ::-1] if self.to_rgb else results["img"]
        results["img"] = img.astype(np.float32) + (self.eigvec @ (self.eigval * drawn)).astype(np.float32)
        return results


@dataclass(frozen=True)
class Distortion:
    """What `PhotoMetricDistortion` draws. None: that step is left out.

    Attributes:
        brightness: Added.
        contrast: A factor.
        contrast_first: Do the contrast before saturation and hue, not after.
        saturation: A factor.
        hue: Degrees added.
        channels: The new order of the channels.
    """

    brightness: float | None = None
    contrast: float | None = None
    contrast_first: bool = True
    saturation: float | None = None
    hue: float | None = None
    channels: tuple[int, ...] | None = None


@TRANSFORMS.register_module()
class PhotoMetricDistortion(RandomTransform):
    """Distort the colours of a BGR image, each step with a chance of one half. Liu et al., SSD, 2016.

    In order: brightness, contrast (first or last), saturation, hue, the order of the channels. The kind of the pixels
    stays; values are clipped to their range.

    Args:
        brightness_delta: The most that is added or taken away, of 255.
        contrast_range: Of the factor.
        saturation_range: Of the factor.
        hue_delta: The most degrees that the hue is turned by.
        swap_channels: Whether the order of the channels may change.
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        *,
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: float = 18,
        swap_channels: bool = True,
    ) -> None:
        self.brightness_delta = brightness_delta
        self.contrast_range = tuple(contrast_range)
        self.saturation_range = tuple(saturation_range)
        self.hue_delta = hue_delta
        self.swap_channels = swap_channels

    def draw(self, results: dict[str, Any]) -> Distortion:
        """Draw which steps are done, and how strongly."""

        def perhaps(low: float, high: float) -> float | None:
            return np.random.uniform(low, high) if np.random.randint(2) else None

        swap = self.swap_channels and np.random.randint(2)
        return Distortion(
            brightness=perhaps(-self.brightness_delta, self.brightness_delta),
            contrast=perhaps(*self.contrast_range),
            contrast_first=bool(np.random.randint(2)),
            saturation=perhaps(*self.saturation_range),
            hue=perhaps(-self.hue_delta, self.hue_delta),
            channels=tuple(np.random.permutation(3).tolist()) if swap else None,
        )

    def apply(self, results: dict[str, Any], drawn: Distortion) -> dict[str, Any]:
        """Distort the image."""
        img = results["img"]
        top = top_value(img)
        values = img.astype(np.float32) / top  # one step after the other without rounding between them
        if drawn.brightness is not None:
            values += drawn.brightness / 255
        if drawn.contrast is not None and drawn.contrast_first:
            values *= drawn.contrast
        if drawn.saturation is not None or drawn.hue is not None:
            values = _turn(values.clip(0, 1), drawn.saturation or 1.0, drawn.hue or 0.0)
        if drawn.contrast is not None and not drawn.contrast_first:
            values *= drawn.contrast
        if drawn.channels is not None:
            values = values[..., drawn.channels]
        values = values.clip(0, 1) * top
        results["img"] = (np.rint(values) if np.issubdtype(img.dtype, np.integer) else values).astype(img.dtype)
        return results


def _turn(values: np.ndarray, saturation: float, hue: float) -> np.ndarray:
    """Multiply the saturation and turn the hue (degrees) of a BGR image (H, W, 3) from 0 to 1."""
    hsv = cv2.cvtColor(values, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + hue) % 360
    hsv[..., 1] = (hsv[..., 1] * saturation).clip(0, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def _neutral(name: str) -> float:
    return 0.0 if name == "hue" else 1.0


def _around(given: float | Sequence[float], middle: float, limits: Range, name: str) -> Range:
    """Return a range that is given as such, or as the distance from its middle."""
    if isinstance(given, (int, float)):
        if given < 0:
            raise ValueError(f"{name} {given} is negative")
        given = (max(middle - given, limits[0]), middle + given)
    low, high = given
    if not limits[0] <= low <= high <= limits[1]:
        raise ValueError(f"{name} {tuple(given)} is no range within [{limits[0]}, {limits[1]}]")
    return float(low), float(high)

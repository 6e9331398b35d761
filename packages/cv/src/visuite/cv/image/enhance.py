"""Functions on colours and light. Images are (H, W) or (H, W, C) with values from 0 to 255, or 65535 where uint16.

The kind of the pixels stays; results are clipped to their range, and rounded where they are integers.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from visuite.cv.image.colour import bgr2gray

#: The weights of the smoothed picture that sharpening blends with: the pixel five times, its neighbours once.
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


def top_value(img: np.ndarray) -> float:
    """Return the value of white: 65535 in uint16, else 255."""
    return 65535.0 if img.dtype == np.uint16 else 255.0


def map_values(img: np.ndarray, curve: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Put every value through a curve, by a table of its 256 values where the image is uint8."""
    if img.dtype == np.uint8:
        return lut_transform(img, _fit(curve(np.arange(256, dtype=np.float32)), img))
    return _fit(curve(img.astype(np.float32)), img)


def lut_transform(img: np.ndarray, lut_table: np.ndarray) -> np.ndarray:
    """Replace each value of a uint8 image by its entry in a table (256,)."""
    return cv2.LUT(img, lut_table).reshape(img.shape)


def blend(img: np.ndarray, other: np.ndarray, factor: float) -> np.ndarray:
    """Return `factor * img + (1 - factor) * other`; a factor above 1 leads away from `other`."""
    if img.dtype == np.uint8:
        return cv2.addWeighted(img, factor, other, 1 - factor, 0).reshape(img.shape)
    return _fit(img.astype(np.float32) * factor + other.astype(np.float32) * (1 - factor), img)


def adjust_brightness(img: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Blend with black: 0 is black, 1 the image, 2 twice as bright."""
    return map_values(img, lambda values: values * factor)


def adjust_contrast(img: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Blend with an even grey, the image's mean: 0 is that grey, 1 the image."""
    mean = np.rint(to_grey(img).mean())
    return map_values(img, lambda values: values * factor + mean * (1 - factor))


def adjust_color(img: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Blend with the image's greys: 0 has no colours, 1 is the image. Grey images stay as they are."""
    if img.ndim == 2 or img.shape[2] == 1:
        return img
    return blend(img, np.repeat(to_grey(img)[..., None], img.shape[2], axis=2), factor)


def adjust_sharpness(img: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Blend with a smoothed image: 0 is smoothed, 1 the image, 2 sharper."""
    return blend(img, cv2.filter2D(img, -1, _SMOOTH).reshape(img.shape), factor)


def adjust_hue(img: np.ndarray, hue_factor: float) -> np.ndarray:
    """Turn the colour circle of a BGR image (H, W, 3); grey images stay as they are.

    Args:
        img: The image.
        hue_factor: Turns, from -0.5 to 0.5.

    Raises:
        ValueError: `hue_factor` is beyond.
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor {hue_factor} is not in [-0.5, 0.5]")
    if img.ndim == 2 or img.shape[2] != 3:
        return img
    if img.dtype == np.uint8:
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV_FULL)  # hue over all 256 values, so that it wraps by itself
        hsv[..., 0] += np.uint8(round(hue_factor * 256) % 256)
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)
    top = top_value(img)
    hsv = cv2.cvtColor(img.astype(np.float32) / top, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * hue_factor) % 360
    return _fit(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR) * top, img)


def auto_contrast(img: np.ndarray) -> np.ndarray:
    """Stretch each channel to the full range; a channel of one value stays."""

    def stretch(plane: np.ndarray) -> np.ndarray:
        low, high, top = float(plane.min()), float(plane.max()), top_value(plane)
        return plane if high <= low else map_values(plane, lambda values: (values - low) * (top / (high - low)))

    return _by_channel(img, stretch)


def imequalize(img: np.ndarray) -> np.ndarray:
    """Spread the values of each channel evenly over the range, by their histogram over 256 levels."""

    def equalize(plane: np.ndarray) -> np.ndarray:
        levels = plane if plane.dtype == np.uint8 else (plane / (top_value(plane) / 255)).astype(np.uint8)
        counts = np.bincount(levels.ravel(), minlength=256)
        step = (counts.sum() - counts[counts.nonzero()[0][-1]]) // 255
        if step == 0:  # one level, or too few pixels to spread
            return plane
        darker = counts.cumsum() - counts
        table = np.clip((darker + step // 2) // step, 0, 255)
        return _fit(table[levels] * (top_value(plane) / 255), plane)

    return _by_channel(img, equalize)


def iminvert(img: np.ndarray) -> np.ndarray:
    """Make the negative."""
    return map_values(img, lambda values: top_value(img) - values)


def posterize(img: np.ndarray, bits: int) -> np.ndarray:
    """Keep the highest `bits` of the 8 (16 in uint16) bits of each value."""
    keep = (top_value(img) + 1) / 2**bits
    return map_values(img, lambda values: np.floor(values / keep) * keep)


def solarize(img: np.ndarray, thr: float = 128) -> np.ndarray:
    """Invert the values that are at least `thr`."""
    return map_values(img, lambda values: np.where(values < thr, values, top_value(img) - values))


def solarize_add(img: np.ndarray, magnitude: float, thr: float = 128) -> np.ndarray:
    """Add `magnitude` to the values below `thr`."""
    return map_values(img, lambda values: np.where(values < thr, values + magnitude, values))


def gaussian_blur(img: np.ndarray, radius: float) -> np.ndarray:
    """Smooth with a Gaussian whose standard deviation is `radius` pixels."""
    return img if radius <= 0 else cv2.GaussianBlur(img, (0, 0), radius).reshape(img.shape)


def to_grey(img: np.ndarray) -> np.ndarray:
    """Return the brightness (H, W) of a BGR image, or the mean over any other number of channels."""
    if img.ndim == 2:
        return img
    if img.shape[2] == 3 and img.dtype in (np.uint8, np.uint16, np.float32):
        return bgr2gray(img)
    return _fit(img.mean(axis=2), img)


def _by_channel(img: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    if img.ndim == 2:
        return change(img)
    return np.stack([change(np.ascontiguousarray(img[..., i])) for i in range(img.shape[2])], axis=2)


def _fit(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return float values clipped to the range of an image, and of its kind."""
    inside = np.clip(values, 0, top_value(like))
    return (np.rint(inside) if np.issubdtype(like.dtype, np.integer) else inside).astype(like.dtype)

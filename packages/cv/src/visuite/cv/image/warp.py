"""Affine maps of images, and cutting parts away. Matrices (2, 3) take the index (x, y) of a pixel to its new one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from visuite.cv.image.geometry import BORDERS, INTERPOLATIONS
from visuite.engine.utils.text import did_you_mean

Numbers = float | Sequence[float]


def imwarp(
    img: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int] | None = None,
    *,
    interpolation: str = "bilinear",
    border_value: Numbers = 0,
    border_mode: str = "constant",
) -> np.ndarray:
    """Map an image by an affine matrix.

    Args:
        img: (H, W) or (H, W, C), any number of channels.
        matrix: (2, 3).
        size: (w, h) of the result; by default the image's.
        interpolation: `nearest`, `bilinear`, `bicubic`, `area` or `lanczos`.
        border_value: What stands where nothing comes from the image: one value, or one per channel.
        border_mode: `constant`, `edge`, `reflect` or `symmetric`.

    Raises:
        ValueError: an unknown interpolation or border mode, or another number of border values than channels.
    """
    for given, known in ((interpolation, INTERPOLATIONS), (border_mode, BORDERS)):
        if given not in known:
            raise ValueError(f"{given!r} is none of {list(known)}{did_you_mean(given, list(known))}")
    size = size or (img.shape[1], img.shape[0])
    planes = img.reshape(*img.shape[:2], -1)
    values = _per_channel(border_value, planes.shape[2])
    groups = [
        cv2.warpAffine(
            np.ascontiguousarray(planes[..., i : i + 4]), np.asarray(matrix, np.float64), size,
            flags=INTERPOLATIONS[interpolation], borderMode=BORDERS[border_mode], borderValue=values[i : i + 4],
        ).reshape(size[1], size[0], -1)
        for i in range(0, planes.shape[2], 4)  # OpenCV takes four channels at a time
    ]  # fmt: skip
    warped = groups[0] if len(groups) == 1 else np.concatenate(groups, axis=2)
    return warped.reshape(size[1], size[0], *img.shape[2:])


def warp_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map points (..., 2), whose origin is the corner of the first pixel: pixel (0, 0) has its middle at (.5, .5)."""
    moved = (points - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
    return moved.astype(points.dtype)


def rotation_matrix(
    size: tuple[int, int], angle: float, center: tuple[float, float] | None = None, scale: float = 1.0
) -> np.ndarray:
    """Return the matrix (2, 3) that turns an image (w, h) clockwise.

    Args:
        size: (w, h).
        angle: Degrees.
        center: (x, y); by default the image's middle.
        scale: A factor on distances from the centre.
    """
    middle = center if center is not None else ((size[0] - 1) / 2, (size[1] - 1) / 2)
    return cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), -angle, scale)


def bounded(matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a turn (2, 3) of an image (w, h) about its middle such that all of it is seen, and the size for that."""
    wide, tall = np.abs(matrix[:, :2]) @ size
    moved = matrix.copy()
    moved[:, 2] += ((wide - size[0]) / 2, (tall - size[1]) / 2)
    return moved, (round(wide), round(tall))


def shear_matrix(magnitude: float, direction: str = "horizontal") -> np.ndarray:
    """Return the matrix (2, 3) that moves rows `horizontal`ly by their height times `magnitude`, or columns."""
    matrix = np.eye(2, 3)
    matrix[_axis(direction), 1 - _axis(direction)] = magnitude
    return matrix


def translation_matrix(offset: float, direction: str = "horizontal") -> np.ndarray:
    """Return the matrix (2, 3) that moves by `offset` pixels to the right, or down when `vertical`."""
    matrix = np.eye(2, 3)
    matrix[_axis(direction), 2] = offset
    return matrix


def imrotate(
    img: np.ndarray,
    angle: float,
    center: tuple[float, float] | None = None,
    *,
    scale: float = 1.0,
    border_value: Numbers = 0,
    interpolation: str = "bilinear",
    auto_bound: bool = False,
    border_mode: str = "constant",
) -> np.ndarray:
    """Turn an image clockwise.

    Args:
        img: (H, W) or (H, W, C).
        angle: Degrees.
        center: (x, y); by default the middle.
        scale: A factor on the image.
        border_value: As of `imwarp`.
        interpolation: As of `imwarp`.
        auto_bound: Grow or shrink the result to hold all of the image.
        border_mode: As of `imwarp`.

    Raises:
        ValueError: `center` with `auto_bound`.
    """
    if center is not None and auto_bound:
        raise ValueError("auto_bound turns about the middle: give no center with it")
    h, w = img.shape[:2]
    matrix, size = rotation_matrix((w, h), angle, center, scale), (w, h)
    if auto_bound:
        matrix, size = bounded(matrix, size)
    return imwarp(img, matrix, size, interpolation=interpolation, border_value=border_value, border_mode=border_mode)


def imshear(
    img: np.ndarray,
    magnitude: float,
    direction: str = "horizontal",
    *,
    border_value: Numbers = 0,
    interpolation: str = "bilinear",
) -> np.ndarray:
    """Shear an image, its first row (`horizontal`) or column (`vertical`) staying; arguments as of `imwarp`."""
    return imwarp(img, shear_matrix(magnitude, direction), interpolation=interpolation, border_value=border_value)


def imtranslate(
    img: np.ndarray,
    offset: float,
    direction: str = "horizontal",
    *,
    border_value: Numbers = 0,
    interpolation: str = "bilinear",
) -> np.ndarray:
    """Move an image by `offset` pixels to the right, or down when `vertical`; arguments as of `imwarp`."""
    return imwarp(img, translation_matrix(offset, direction), interpolation=interpolation, border_value=border_value)


def cutout(
    img: np.ndarray,
    shape: int | tuple[int, int],
    pad_val: Numbers = 0,
    *,
    center: tuple[float, float] | None = None,
) -> np.ndarray:
    """Fill a rectangle of the image.

    Args:
        img: (H, W) or (H, W, C).
        shape: (h, w) of the rectangle, or one number for both.
        pad_val: One value, or one per channel.
        center: (x, y) of its middle; by default drawn evenly from the image. What lies outside is cut off.
    """
    tall, wide = (shape, shape) if isinstance(shape, (int, float)) else shape
    x, y = center if center is not None else np.random.uniform(0, 1, 2) * (img.shape[1], img.shape[0])
    x1, y1 = int(max(0, x - wide / 2)), int(max(0, y - tall / 2))
    filled = img.copy()
    filled[y1 : min(img.shape[0], int(y1 + tall)), x1 : min(img.shape[1], int(x1 + wide))] = pad_val
    return filled


def _axis(direction: str) -> int:
    if direction not in ("horizontal", "vertical"):
        raise ValueError(f"direction {direction!r} is neither 'horizontal' nor 'vertical'")
    return int(direction == "vertical")


def _per_channel(value: Numbers, channels: int) -> tuple[float, ...]:
    values = (value,) * channels if isinstance(value, (int, float)) else tuple(value)
    if len(values) != channels:
        raise ValueError(f"{len(values)} border values for {channels} channels")
    return tuple(float(one) for one in values)

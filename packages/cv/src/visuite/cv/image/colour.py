"""Colour conversions between (H, W, C) arrays."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Conversion = Callable[[np.ndarray], np.ndarray]


def _conversion(code: int, name: str, text: str) -> Conversion:
    def convert(img: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(img, code)

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"Convert an image (H, W, 3) from {text}."
    return convert


bgr2rgb = _conversion(cv2.COLOR_BGR2RGB, "bgr2rgb", "BGR to RGB")
rgb2bgr = _conversion(cv2.COLOR_RGB2BGR, "rgb2bgr", "RGB to BGR")
bgr2hsv = _conversion(cv2.COLOR_BGR2HSV, "bgr2hsv", "BGR to HSV")
hsv2bgr = _conversion(cv2.COLOR_HSV2BGR, "hsv2bgr", "HSV to BGR")
bgr2hls = _conversion(cv2.COLOR_BGR2HLS, "bgr2hls", "BGR to HLS")
hls2bgr = _conversion(cv2.COLOR_HLS2BGR, "hls2bgr", "HLS to BGR")


def bgr2gray(img: np.ndarray, keepdim: bool = False) -> np.ndarray:
    """Convert BGR (H, W, 3) to grey (H, W), or (H, W, 1) with `keepdim`."""
    return _grey(img, cv2.COLOR_BGR2GRAY, keepdim)


def rgb2gray(img: np.ndarray, keepdim: bool = False) -> np.ndarray:
    """Convert RGB (H, W, 3) to grey (H, W), or (H, W, 1) with `keepdim`."""
    return _grey(img, cv2.COLOR_RGB2GRAY, keepdim)


def gray2bgr(img: np.ndarray) -> np.ndarray:
    """Repeat a grey image (H, W) or (H, W, 1) over three channels."""
    return cv2.cvtColor(img, cv2.COLOR_GRAY2BGR)


def gray2rgb(img: np.ndarray) -> np.ndarray:
    """Repeat a grey image (H, W) or (H, W, 1) over three channels."""
    return cv2.cvtColor(img, cv2.COLOR_GRAY2RGB)


def _grey(img: np.ndarray, code: int, keepdim: bool) -> np.ndarray:
    grey = cv2.cvtColor(img, code)
    return grey[..., None] if keepdim else grey

"""Functions that move pixels. Images are (H, W) or (H, W, C); sizes are (w, h), shapes (h, w)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import cv2
import numpy as np

from visuite.engine.utils.text import did_you_mean

#: How OpenCV calls the interpolations.
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
_PILLOW_NAMES = ("nearest", "bilinear", "bicubic", "box", "lanczos", "hamming")
#: How OpenCV calls what stands outside of an image.
BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}
#: How OpenCV and NumPy call the directions of flips.
_FLIPS: dict[str, tuple[int, tuple[int, ...]]] = {
    "horizontal": (1, (1,)),
    "vertical": (0, (0,)),
    "diagonal": (-1, (0, 1)),
}
#: The kinds of numbers that all versions of OpenCV know.
_CV2_TYPES = tuple(map(np.dtype, ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")))
#: The channels that OpenCV takes in one call.
_CV2_MOST_CHANNELS = 4


def scale_size(size: tuple[int, int], scale: float | tuple[float, float]) -> tuple[int, int]:
    """Return the size (w, h) times a factor, or times (fx, fy), rounded to the nearest integers."""
    fx, fy = (scale, scale) if isinstance(scale, (int, float)) else scale
    return int(size[0] * float(fx) + 0.5), int(size[1] * float(fy) + 0.5)


def fitting_size(shape: Sequence[int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size (w, h) of an image (h, w, ...), with its aspect ratio, that fits into a size (w, h)."""
    h, w = shape[:2]
    wide, tall = scale_size((w, h), min(size[0] / w, size[1] / h))
    return max(min(wide, size[0]), 1), max(min(tall, size[1]), 1)


@overload
def rescale_size(
    old_size: tuple[int, int], scale: float | tuple[float, float], return_scale: Literal[False] = False
) -> tuple[int, int]: ...
@overload
def rescale_size(
    old_size: tuple[int, int], scale: float | tuple[float, float], return_scale: Literal[True]
) -> tuple[tuple[int, int], float]: ...
def rescale_size(old_size: tuple[int, int], scale: float | tuple[float, float], return_scale: bool = False) -> Any:
    """Return the size (w, h) scaled with its aspect ratio kept.

    Args:
        old_size: (w, h).
        scale: A factor, or two numbers: the largest allowed long and short edge, in any order.
        return_scale: Return the factor too.

    Raises:
        ValueError: the factor is not positive.
    """
    if isinstance(scale, (int, float)):
        if scale <= 0:
            raise ValueError(f"a scale is positive, not {scale}")
        factor = float(scale)
    else:
        factor = min(max(scale) / max(old_size), min(scale) / min(old_size))
    new_size = scale_size(old_size, factor)
    return (new_size, factor) if return_scale else new_size


def imresize(
    img: np.ndarray,
    size: tuple[int, int],
    return_scale: bool = False,
    *,
    interpolation: str = "bilinear",
    backend: str | None = None,
) -> Any:
    """Resize an image to (w, h).

    Args:
        img: (H, W) or (H, W, C), any number of channels.
        size: (w, h).
        return_scale: Return (image, w_scale, h_scale).
        interpolation: `nearest`, `bilinear`, `bicubic`, `area` or `lanczos`; with Pillow also `box` and `hamming`.
        backend: `cv2` (default) or `pillow`, which smooths when it shrinks.

    Raises:
        ValueError: the backend is unknown or has no such interpolation.
    """
    resize = {"cv2": _resize_cv2, "pillow": _resize_pillow}.get(backend or "cv2")
    if resize is None:
        raise ValueError(f"backend {backend!r} is neither 'cv2' nor 'pillow'")
    resized = resize(img, (int(size[0]), int(size[1])), interpolation)
    if not return_scale:
        return resized
    return resized, size[0] / img.shape[1], size[1] / img.shape[0]


def imrescale(
    img: np.ndarray,
    scale: float | tuple[float, float],
    return_scale: bool = False,
    *,
    interpolation: str = "bilinear",
    backend: str | None = None,
) -> Any:
    """Resize an image with its aspect ratio kept; `scale` as of `rescale_size`, the rest as of `imresize`."""
    size, factor = rescale_size((img.shape[1], img.shape[0]), scale, return_scale=True)
    resized = imresize(img, size, interpolation=interpolation, backend=backend)
    return (resized, factor) if return_scale else resized


def imflip(img: np.ndarray, direction: str = "horizontal") -> np.ndarray:
    """Flip an image (H, W) or (H, W, C) `horizontal`ly, `vertical`ly or on the `diagonal` (both), into a new array.

    Raises:
        ValueError: an unknown direction.
    """
    if direction not in _FLIPS:
        raise ValueError(f"direction {direction!r} is none of {', '.join(map(repr, _FLIPS))}")
    code, axes = _FLIPS[direction]
    few = img.ndim == 2 or img.shape[2] <= _CV2_MOST_CHANNELS
    if few and img.size and img.dtype in _CV2_TYPES:  # NumPy turns rows pixel by pixel, many times slower
        return cv2.flip(img, code).reshape(img.shape)
    return np.flip(img, axes).copy()


def to_planes(img: np.ndarray) -> np.ndarray:
    """Return an image (H, W) or (H, W, C) as a contiguous array (C, H, W)."""
    if img.ndim == 2:
        return np.ascontiguousarray(img[None])
    channels_first = img.transpose(2, 0, 1)
    if not (1 < img.shape[2] <= _CV2_MOST_CHANNELS and img.size and img.dtype in _CV2_TYPES):
        return np.ascontiguousarray(channels_first)
    planes = np.empty(channels_first.shape, img.dtype)
    cv2.split(img, list(planes))  # writes into them, several times faster than NumPy
    return planes


def imcrop(
    img: np.ndarray, bboxes: np.ndarray, scale: float = 1.0, pad_fill: float | Sequence[float] | None = None
) -> np.ndarray | list[np.ndarray]:
    """Cut boxes out of an image.

    Args:
        img: (H, W) or (H, W, C).
        bboxes: One box (4,) or several (N, 4) as x1, y1, x2, y2, of which the last column and row are still inside.
        scale: Grow each box about its centre by this factor first.
        pad_fill: What stands outside the image; None cuts the boxes at its border.

    Returns:
        One image, or a list of N.
    """
    boxes = np.asarray(bboxes)
    cut = [_cut(img, box, scale, pad_fill) for box in boxes.reshape(-1, 4)]
    return cut[0] if boxes.ndim == 1 else cut


def impad(
    img: np.ndarray,
    *,
    shape: tuple[int, int] | None = None,
    padding: int | Sequence[int] | None = None,
    pad_val: float | Sequence[float] = 0,
    padding_mode: str = "constant",
) -> np.ndarray:
    """Pad an image to a shape, or by given widths.

    Args:
        img: (H, W) or (H, W, C).
        shape: (h, w) to reach at the right and the bottom. Exactly one of `shape` and `padding` is given.
        padding: One width for all borders, (left and right, top and bottom), or (left, top, right, bottom).
        pad_val: One value, or one per channel.
        padding_mode: `constant`, `edge`, `reflect` (without the border pixel) or `symmetric` (with it).

    Raises:
        ValueError: both or none of `shape` and `padding`, or an unknown mode.
    """
    if (shape is None) == (padding is None):
        raise ValueError("impad needs either shape or padding")
    if padding_mode not in BORDERS:
        raise ValueError(f"padding_mode {padding_mode!r} is none of {list(BORDERS)}")
    if shape is not None:
        padding = (0, 0, max(shape[1] - img.shape[1], 0), max(shape[0] - img.shape[0], 0))
    left, top, right, bottom = _borders(padding)  # type: ignore[arg-type]
    channels = 1 if img.ndim == 2 else img.shape[2]
    if channels <= _CV2_MOST_CHANNELS and padding_mode != "constant":
        padded = cv2.copyMakeBorder(img, top, bottom, left, right, BORDERS[padding_mode])
        return padded.reshape(*padded.shape[:2], *img.shape[2:])
    widths = [(top, bottom), (left, right), (0, 0)][: img.ndim]
    if padding_mode != "constant":
        return np.pad(img, widths, mode=padding_mode)  # type: ignore[call-overload]
    out = blank((img.shape[0] + top + bottom, img.shape[1] + left + right, *img.shape[2:]), img.dtype, pad_val)
    out[top : top + img.shape[0], left : left + img.shape[1]] = img
    return out


def blank(shape: Sequence[int], dtype: Any, value: float | Sequence[float]) -> np.ndarray:
    """Return an image of a shape (H, W) or (H, W, C) that has one value everywhere, or one per channel."""
    img = np.empty(shape, dtype)
    img[:1] = value  # a row of pixels is copied many times faster than one pixel
    img[1:] = img[:1]
    return img


def impad_to_multiple(img: np.ndarray, divisor: int, pad_val: float | Sequence[float] = 0) -> np.ndarray:
    """Pad an image at the right and the bottom until `divisor` divides both edges."""
    shape = (-(-img.shape[0] // divisor) * divisor, -(-img.shape[1] // divisor) * divisor)
    return impad(img, shape=shape, pad_val=pad_val)


def _resize_cv2(img: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    _check_interpolation("cv2", interpolation, tuple(INTERPOLATIONS))
    code = INTERPOLATIONS[interpolation]
    if img.ndim == 2 or img.shape[2] <= _CV2_MOST_CHANNELS:
        return cv2.resize(img, size, interpolation=code).reshape(size[1], size[0], *img.shape[2:])
    groups = [img[..., i : i + _CV2_MOST_CHANNELS] for i in range(0, img.shape[2], _CV2_MOST_CHANNELS)]
    resized = [cv2.resize(np.ascontiguousarray(group), size, interpolation=code) for group in groups]
    return np.concatenate([part.reshape(size[1], size[0], -1) for part in resized], axis=2)


def _resize_pillow(img: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    from PIL import Image

    _check_interpolation("pillow", interpolation, _PILLOW_NAMES)
    code = Image.Resampling[interpolation.upper()]
    if img.dtype == np.uint8 and (img.ndim == 2 or img.shape[2] == 3):
        return np.array(Image.fromarray(img).resize(size, code))
    planes = [img] if img.ndim == 2 else list(np.moveaxis(img, 2, 0))
    resized = [np.array(Image.fromarray(plane.astype(np.float32)).resize(size, code)) for plane in planes]
    out = resized[0] if img.ndim == 2 else np.stack(resized, axis=2)
    if np.issubdtype(img.dtype, np.integer):
        limits = np.iinfo(img.dtype)
        out = np.clip(np.rint(out), limits.min, limits.max)
    return out.astype(img.dtype)


def _check_interpolation(backend: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(
            f"{backend} has no interpolation {name!r}, only {list(known)}{did_you_mean(name, list(known))}"
        )


def _borders(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom)."""
    widths = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
    if len(widths) == 2:
        widths = (widths[0], widths[1], widths[0], widths[1])
    if len(widths) != 4:
        raise ValueError(f"padding is one, two or four numbers, not {padding}")
    return widths


def _cut(img: np.ndarray, box: np.ndarray, scale: float, pad_fill: float | Sequence[float] | None) -> np.ndarray:
    h, w = img.shape[:2]
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2] + 1) * scale / 2
    x1, y1 = np.floor(centre - half + 0.5).astype(int)
    x2, y2 = np.floor(centre + half + 0.5).astype(int)  # exclusive
    inside = img[max(y1, 0) : max(min(y2, h), 0), max(x1, 0) : max(min(x2, w), 0)]
    if pad_fill is None:
        return inside
    left, top = min(max(-x1, 0), x2 - x1), min(max(-y1, 0), y2 - y1)
    right, bottom = x2 - x1 - left - inside.shape[1], y2 - y1 - top - inside.shape[0]
    return impad(inside, padding=(left, top, right, bottom), pad_val=pad_fill)

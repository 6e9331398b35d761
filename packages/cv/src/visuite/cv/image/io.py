"""Image files to arrays and back.

Shapes: an image is (H, W, C) or, when grey, (H, W); colours are in BGR order unless asked otherwise.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from visuite.cv.image.integrity import truncation
from visuite.engine.fileio import get, put
from visuite.engine.fileio.location import locate
from visuite.engine.utils.text import did_you_mean

#: What the flags mean: (channels wanted: 3, 1 or None for those of the file; whether EXIF turns the image).
_FLAGS: dict[str, tuple[int | None, bool]] = {
    "color": (3, True),
    "grayscale": (1, True),
    "unchanged": (None, False),
    "color_ignore_orientation": (3, False),
    "grayscale_ignore_orientation": (1, False),
}
#: Where EXIF tells how an image is to be turned, and which values exchange width and height.
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
_NPY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CV2_CHANNELS = {3: cv2.IMREAD_COLOR, 1: cv2.IMREAD_GRAYSCALE}


class ImageError(OSError):
    """A file that is no image, or only a part of one."""


def imread(
    img_or_path: np.ndarray | str | Path,
    flag: str = "color",
    *,
    channel_order: str = "bgr",
    backend: str | None = None,
    backend_args: dict[str, Any] | None = None,
) -> np.ndarray:
    """Read an image from a local path or a URL.

    Args:
        img_or_path: Where the file is; an array is returned unchanged.
        flag: `color`, `grayscale`, `unchanged`, `color_ignore_orientation` or `grayscale_ignore_orientation`. All but
            `unchanged` and the last two turn the image as its EXIF header says.
        channel_order: `bgr` or `rgb`.
        backend: See `imfrombytes`.
        backend_args: Options of the file backend.

    Returns:
        (H, W, C), or (H, W) when grey.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: the file is no image or is cut; names the file.
    """
    if isinstance(img_or_path, np.ndarray):
        return img_or_path
    data = get(str(img_or_path), backend_args=backend_args)
    try:
        return imfrombytes(data, flag, channel_order=channel_order, backend=backend)
    except ImageError as error:
        raise ImageError(f"{img_or_path}: {error}") from error


def imfrombytes(
    content: bytes, flag: str = "color", *, channel_order: str = "bgr", backend: str | None = None
) -> np.ndarray:
    """Decode the content of an image file; arguments as of `imread`.

    An array that NumPy saved (`.npy`) is taken as it is, whatever the flag and the order of channels say; so is a TIFF
    that has more bands than a picture has colours, with any flag, if tifffile is installed.

    Args:
        backend: `cv2` (the default; Pillow takes over formats it does not know), `pillow`, or `torchvision` (also
            called `turbojpeg`), which decodes JPEG.

    Raises:
        ImageError: the bytes are no image or a part of one.
        ValueError: an unknown flag, channel order or backend.
    """
    _check_choice("flag", flag, _FLAGS)
    _check_choice("channel_order", channel_order.lower(), ("bgr", "rgb"))
    _check_choice("backend", backend or "cv2", _DECODERS)
    if content.startswith(_NPY):
        return _read_npy(content)
    missing = truncation(content)
    if missing is not None:
        raise ImageError(f"broken image: {missing}")
    image = _DECODERS[backend or "cv2"](content, flag)
    if image is None:
        image = _decode_pillow(content, flag)
    if image is None and content[:4] in _TIFF:
        image = _read_bands(content)
    if image is None:
        raise ImageError(f"no decoder knows this as an image ({len(content)} bytes)")
    if channel_order.lower() == "rgb" and image.ndim == 3 and image.shape[2] in (3, 4):
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return image


def image_size(path: str | Path, *, backend_args: dict[str, Any] | None = None) -> tuple[int, int]:
    """Return the size (h, w) of an image, turned as its EXIF header says; of a local picture, from its header alone.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: the file is no image.
    """
    from PIL import Image, UnidentifiedImageError

    place = locate(path, backend_args)
    if isinstance(place, str):
        try:
            with Image.open(place) as opened:
                width, height = opened.size
                told = opened.format != "PNG" or "exif" in opened.info  # else Pillow would decode it all to look on
                turned = told and opened.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
                if not turned:
                    return height, width
                if opened.format != "TIFF":  # of which versions of Pillow tell sizes differently
                    return width, height
        except UnidentifiedImageError:
            pass  # one of those that Pillow does not know
    return imread(path, backend_args=backend_args).shape[:2]


def read_class_map(
    path: str | Path, *, backend: str | None = None, backend_args: dict[str, Any] | None = None
) -> np.ndarray:
    """Read an image whose values are classes, not colours; of a picture with a palette, the places in the palette.

    Args:
        path: A local path or a URL.
        backend: See `imfrombytes`; pictures with a palette are decoded by Pillow anyhow, as others give their colours.
        backend_args: Options of the file backend.

    Returns:
        (H, W).

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: the file is no image, is cut, or has several values per pixel.
    """
    data = get(str(path), backend_args=backend_args)
    try:
        seg_map = _palette_indices(data)
        if seg_map is None:
            seg_map = imfrombytes(data, "unchanged", backend=backend)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    seg_map = seg_map[..., 0] if seg_map.ndim == 3 and seg_map.shape[2] == 1 else seg_map
    if seg_map.ndim != 2:
        raise ImageError(f"{path}: a map of classes has one value per pixel, this image is of shape {seg_map.shape}")
    return seg_map.view(np.uint8) if seg_map.dtype == bool else seg_map


def imwrite(
    img: np.ndarray,
    file_path: str | Path,
    params: Sequence[int] | None = None,
    *,
    backend_args: dict[str, Any] | None = None,
) -> bool:
    """Write a BGR or grey image; the suffix says the format, and missing folders are made.

    Args:
        img: (H, W, C) or (H, W).
        file_path: A local path or a URL.
        params: Options of OpenCV's encoder, `[cv2.IMWRITE_JPEG_QUALITY, 90]`.

    Raises:
        ValueError: the suffix names no format, or the format cannot hold such an array.
    """
    suffix = Path(str(file_path)).suffix.lower()
    try:
        done, buffer = cv2.imencode(suffix, img, list(params or ()))
    except cv2.error as error:
        raise ValueError(f"{file_path}: cannot encode an array {img.shape} {img.dtype} as {suffix!r}") from error
    if done:
        put(buffer.tobytes(), str(file_path), backend_args=backend_args)
    return done


def _check_choice(what: str, value: str, known: Any) -> None:
    if value not in known:
        raise ValueError(f"{what} {value!r} is none of {sorted(known)}{did_you_mean(value, list(known))}")


def _decode_cv2(content: bytes, flag: str) -> np.ndarray | None:
    channels, turn = _FLAGS[flag]
    mode = cv2.IMREAD_UNCHANGED if channels is None else _CV2_CHANNELS[channels]
    if not turn and channels is not None:
        mode |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    except cv2.error:
        return None


def _decode_pillow(content: bytes, flag: str) -> np.ndarray | None:
    from PIL import Image, ImageOps, UnidentifiedImageError

    channels, turn = _FLAGS[flag]
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
            image = ImageOps.exif_transpose(opened) if turn else opened
            if channels is not None:
                image = image.convert("L" if channels == 1 else "RGB")
            elif image.mode == "P":
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            return _swap_red_and_blue(np.array(image))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UnidentifiedImageError):
            return None
        raise ImageError(f"broken image: {error}") from error


def _read_npy(content: bytes) -> np.ndarray:
    """Return an array (H, W) or (H, W, C) as NumPy saved it."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ImageError(f"broken array: {error}") from error
    if array.ndim not in (2, 3):
        raise ImageError(f"an image is an array (H, W) or (H, W, C), this one is {array.shape}")
    return array


def _read_bands(content: bytes) -> np.ndarray:
    """Return a TIFF of any number of bands as (H, W) or (H, W, C)."""
    try:
        import tifffile
    except ImportError as error:
        raise ImageError("a TIFF of so many bands needs tifffile: pip install 'visuite-cv[tiff]'") from error
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        series = file.series[0]
        array, axes = series.asarray(), series.axes
    if array.ndim not in (2, 3):
        raise ImageError(f"an image is an array (H, W) or (H, W, C), this TIFF is {array.shape} with axes {axes}")
    return array if array.ndim == 2 or axes.startswith("Y") else np.ascontiguousarray(array.transpose(1, 2, 0))


def _palette_indices(content: bytes) -> np.ndarray | None:
    """Return the places in the palette (H, W) of an image that has one; None for other images."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as opened:
            return np.array(opened) if opened.mode == "P" else None
    except UnidentifiedImageError:
        return None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"broken image: {error}") from error


def _decode_torchvision(content: bytes, flag: str) -> np.ndarray | None:
    """Decode with torchvision's JPEG decoder; other formats go to OpenCV."""
    if not content.startswith(b"\xff\xd8"):
        return _decode_cv2(content, flag)
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    channels, turn = _FLAGS[flag]
    mode = {3: ImageReadMode.RGB, 1: ImageReadMode.GRAY, None: ImageReadMode.UNCHANGED}[channels]
    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    try:
        image = decode_jpeg(data, mode=mode, apply_exif_orientation=turn).permute(1, 2, 0).numpy()
    except RuntimeError as error:
        raise ImageError(f"broken image: {error}") from error
    return image[..., 0].copy() if image.shape[2] == 1 else _swap_red_and_blue(image)


def _swap_red_and_blue(image: np.ndarray) -> np.ndarray:
    if image.ndim == 3 and image.shape[2] in (3, 4):
        return np.ascontiguousarray(image[..., [2, 1, 0, 3][: image.shape[2]]])
    return image


_DECODERS = {
    "cv2": _decode_cv2,
    "pillow": _decode_pillow,
    "torchvision": _decode_torchvision,
    "turbojpeg": _decode_torchvision,  # the name configs use for libjpeg-turbo, which torchvision brings
}

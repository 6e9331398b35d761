"""From arrays to tensors, and between arrays and Pillow's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from visuite.cv.image import to_planes
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ToTensor(BaseTransform):
    """Make tensors of the values at some keys.

    Args:
        keys: The keys; dots lead into dicts, as in `'gt.boxes'`.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = [keys] if isinstance(keys, str) else list(keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Convert the values."""
        for key in self.keys:
            *path, last = key.split(".")
            place = results
            for name in path:
                place = place[name]
            place[last] = value_to_tensor(place[last])
        return results


@TRANSFORMS.register_module()
class ImageToTensor(BaseTransform):
    """Make tensors (C, H, W) of the images (H, W) or (H, W, C) at some keys.

    Args:
        keys: The keys.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = [keys] if isinstance(keys, str) else list(keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Convert the images."""
        for key in self.keys:
            results[key] = image_to_tensor(results[key])
        return results


@TRANSFORMS.register_module()
class Transpose(BaseTransform):
    """Change the order of the axes of the arrays at some keys.

    Args:
        keys: The keys.
        order: The new order of the axes.
    """

    def __init__(self, keys: Sequence[str], order: Sequence[int]) -> None:
        self.keys = [keys] if isinstance(keys, str) else list(keys)
        self.order = tuple(order)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Transpose the arrays."""
        for key in self.keys:
            results[key] = results[key].transpose(self.order)
        return results


@TRANSFORMS.register_module(["NumpyToPIL", "ToPIL"])
class NumpyToPIL(BaseTransform):
    """Make `img` an image of Pillow's.

    Args:
        to_rgb: Swap blue and red.
    """

    def __init__(self, to_rgb: bool = False) -> None:
        self.to_rgb = to_rgb

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Convert the image."""
        from PIL import Image

        img = results["img"]
        results["img"] = Image.fromarray(np.ascontiguousarray(img[..., ::-1]) if self.to_rgb else img)
        return results


@TRANSFORMS.register_module(["PILToNumpy", "ToNumpy"])
class PILToNumpy(BaseTransform):
    """Make an array of the image of Pillow's at `img`.

    Args:
        to_bgr: Swap red and blue.
        dtype: The kind of its values, such as `'float32'`; by default what the image has.
    """

    def __init__(self, to_bgr: bool = False, dtype: str | None = None) -> None:
        self.to_bgr = to_bgr
        self.dtype = dtype

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Convert the image."""
        img = np.array(results["img"], dtype=self.dtype)
        results["img"] = np.ascontiguousarray(img[..., ::-1]) if self.to_bgr else img
        return results


def image_to_tensor(img: Any) -> torch.Tensor:
    """Return an image (H, W), (H, W, C) or of Pillow's as a tensor (C, H, W); a tensor as it is.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(img, torch.Tensor):
        return img
    array = np.asarray(img)
    if array.ndim not in (2, 3) or array.dtype == object:
        raise TypeError(f"an image is an array (H, W) or (H, W, C) or a tensor, not {type(img).__name__} {array.shape}")
    return torch.from_numpy(to_planes(array))


def value_to_tensor(value: Any) -> torch.Tensor:
    """Return an array, a list of numbers or a number (as (1,)) as a tensor.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (int, float)):
        return torch.tensor([value])
    if isinstance(value, np.ndarray) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return torch.as_tensor(np.ascontiguousarray(value))
    raise TypeError(f"no tensor can be made of a {type(value).__name__}")

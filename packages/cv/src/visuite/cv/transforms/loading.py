"""From files to arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from visuite.cv.image import ImageCache, ImageError, imread
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """Read the image at `img_path`; set `img`, `img_shape` and `ori_shape` (h, w).

    Where a data set puts an `ImageCache` to `image_cache`, images are read through it.

    Args:
        to_float32: Make the pixels float32 instead of uint8.
        color_type: The `flag` of `visuite.cv.image.imread`.
        imdecode_backend: Its `backend`.
        ignore_empty: Drop samples whose file is missing or broken, instead of stopping.
        backend_args: Options of the file backend.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: the file is no image or is cut.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = "color",
        *,
        imdecode_backend: str = "cv2",
        ignore_empty: bool = False,
        backend_args: dict[str, Any] | None = None,
        file_client_args: dict[str, Any] | None = None,
    ) -> None:
        if file_client_args is not None and backend_args is not None:
            raise ValueError("file_client_args is the old name of backend_args: give one of them")
        self.to_float32 = to_float32
        self.color_type = color_type
        self.imdecode_backend = imdecode_backend
        self.ignore_empty = ignore_empty
        self.backend_args = dict(backend_args or file_client_args or {}) or None

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Read the file."""
        try:
            img = self._read(results["img_path"], results.get("image_cache"))
        except (ImageError, FileNotFoundError):
            if self.ignore_empty:
                return None
            raise
        results["img"] = img.astype(np.float32) if self.to_float32 else img
        results["img_shape"] = results["ori_shape"] = img.shape[:2]
        return results

    def _read(self, path: str, cache: ImageCache | None) -> np.ndarray:
        def decode() -> np.ndarray:
            return imread(path, self.color_type, backend=self.imdecode_backend, backend_args=self.backend_args)

        return decode() if cache is None else cache.read(path, (self.color_type, self.imdecode_backend), decode)


@TRANSFORMS.register_module()
class LoadMultiChannelImageFromFiles(BaseTransform):
    """Read an image whose channels lie in files of their own, `img_path` being their list; set what one file would set.

    Args:
        to_float32: Make the pixels float32.
        color_type: The `flag` of `visuite.cv.image.imread`.
        imdecode_backend: Its `backend`.
        backend_args: Options of the file backend.

    Raises:
        ValueError: the files are of different sizes.
        FileNotFoundError: there is no such file.
        ImageError: a file is no image or is cut.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = "unchanged",
        *,
        imdecode_backend: str = "cv2",
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        self.to_float32 = to_float32
        self.color_type = color_type
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the files, and stack their channels (H, W, C) in the order of the list."""
        paths = results["img_path"]
        layers = [
            imread(path, self.color_type, backend=self.imdecode_backend, backend_args=self.backend_args)
            for path in paths
        ]
        for path, layer in zip(paths, layers, strict=True):
            if layer.shape[:2] != layers[0].shape[:2]:
                raise ValueError(f"{path} is {layer.shape[:2]} large, {paths[0]} {layers[0].shape[:2]}")
        img = np.dstack(layers)
        results["img"] = img.astype(np.float32) if self.to_float32 else img
        results["img_shape"] = results["ori_shape"] = img.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadImageFromNDArray(BaseTransform):
    """Take the array at `img` for the image; set `img_path` (None), `img_shape` and `ori_shape` (h, w).

    Args:
        to_float32: Make the pixels float32.
        **file_options: Without effect: what `LoadImageFromFile` takes, so that one config fits both.
    """

    def __init__(self, to_float32: bool = False, **file_options: Any) -> None:
        self.to_float32 = to_float32

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Note what is known of the array."""
        img = results["img"]
        results["img"] = img.astype(np.float32) if self.to_float32 else img
        results["img_path"] = None
        results["img_shape"] = results["ori_shape"] = img.shape[:2]
        return results

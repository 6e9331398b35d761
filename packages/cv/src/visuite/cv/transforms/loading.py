"""From files to arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from visuite.cv.image import ImageError, imread
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """Read the image at `img_path`; set `img`, `img_shape` and `ori_shape` (h, w).

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
            img = imread(
                results["img_path"], self.color_type, backend=self.imdecode_backend, backend_args=self.backend_args
            )
        except (ImageError, FileNotFoundError):
            if self.ignore_empty:
                return None
            raise
        results["img"] = img.astype(np.float32) if self.to_float32 else img
        results["img_shape"] = results["ori_shape"] = img.shape[:2]
        return results

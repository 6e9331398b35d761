"""Normalising in the pipeline; models normalise in their data preprocessor, on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.image import imnormalize
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Normalize(BaseTransform):
    """Make `img` float32, `(img - mean) / std`; set `img_norm_cfg`.

    Args:
        mean: One value per channel.
        std: One value per channel.
        to_rgb: Swap blue and red first.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, to_rgb: bool = True) -> None:
        self.mean = np.array(mean, np.float32)
        self.std = np.array(std, np.float32)
        self.to_rgb = to_rgb

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Normalise the image."""
        results["img"] = imnormalize(results["img"], self.mean, self.std, self.to_rgb)
        results["img_norm_cfg"] = {"mean": self.mean, "std": self.std, "to_rgb": self.to_rgb}
        return results

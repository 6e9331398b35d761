"""Augmentation of colours: nothing moves, so that only the image is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from visuite.cv.image import adjust_brightness, adjust_color, adjust_contrast, adjust_hue
from visuite.cv.transforms import RandomTransform
from visuite.yolo.registry import TRANSFORMS

#: Hues are counted in steps of which a full turn has so many.
_HUES = 180


@TRANSFORMS.register_module()
class YOLOv5HSVRandomAug(RandomTransform):
    """Multiply hue, saturation and value of a BGR image of bytes, each by a random factor.

    Args:
        hue_delta: The factor of the hue lies within 1 - `hue_delta` and 1 + `hue_delta`,
        saturation_delta: and likewise that of the saturation
        value_delta: and of the value.
    """

    def __init__(self, hue_delta: float = 0.015, saturation_delta: float = 0.7, *, value_delta: float = 0.4) -> None:
        self.deltas = np.array([hue_delta, saturation_delta, value_delta])

    def draw(self, results: dict[str, Any]) -> np.ndarray:
        """Return the factors (3,)."""
        return 1 + np.random.uniform(-1, 1, 3) * self.deltas

    def apply(self, results: dict[str, Any], drawn: np.ndarray) -> dict[str, Any]:
        """Change the colours.

        Raises:
            TypeError: the image is none of three channels of bytes.
        """
        img = results["img"]
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            raise TypeError(f"YOLOv5HSVRandomAug works on BGR images of bytes, not on {img.shape} {img.dtype}")
        curves = np.arange(256)[:, None] * drawn  # one table for each of hue, saturation and value
        curves = np.column_stack([curves[:, 0] % _HUES, curves[:, 1:].clip(0, 255)]).astype(np.uint8)
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        results["img"] = cv2.cvtColor(cv2.LUT(hsv, curves[None]), cv2.COLOR_HSV2BGR)
        return results


@TRANSFORMS.register_module()
class PPYOLOERandomDistort(RandomTransform):
    """Change hue, saturation, contrast and brightness, some of them and in a random order. PP-YOLOE, arXiv:2203.16250.

    Args:
        hue_cfg: `dict(min, max, prob)`: the range of what is added to the hue, in steps of 2 degrees, and the chance.
        saturation_cfg: The same of the factor on the saturation,
        contrast_cfg: on the contrast
        brightness_cfg: and on the brightness.
        num_distort_func: How many of the four are tried.

    Raises:
        ValueError: another number than 1 to 4, a range or a chance that is none.
    """

    def __init__(
        self,
        hue_cfg: Mapping[str, float] = {"min": -18, "max": 18, "prob": 0.5},
        saturation_cfg: Mapping[str, float] = {"min": 0.5, "max": 1.5, "prob": 0.5},
        *,
        contrast_cfg: Mapping[str, float] = {"min": 0.5, "max": 1.5, "prob": 0.5},
        brightness_cfg: Mapping[str, float] = {"min": 0.5, "max": 1.5, "prob": 0.5},
        num_distort_func: int = 4,
    ) -> None:
        self.steps = {
            "hue": hue_cfg,
            "saturation": saturation_cfg,
            "contrast": contrast_cfg,
            "brightness": brightness_cfg,
        }
        for name, cfg in self.steps.items():
            if not cfg["min"] <= cfg["max"] or not 0 <= cfg["prob"] <= 1:
                raise ValueError(f"{name}_cfg is a range and a chance, dict(min, max, prob), not {dict(cfg)}")
        if not 1 <= num_distort_func <= len(self.steps):
            raise ValueError(f"num_distort_func is 1 to {len(self.steps)}, not {num_distort_func}")
        self.num_distort_func = num_distort_func

    def draw(self, results: dict[str, Any]) -> list[tuple[str, float]]:
        """Return what is done, one after the other, and how much."""
        tried = np.random.permutation(list(self.steps))[: self.num_distort_func]
        cfgs = [(str(name), self.steps[name]) for name in tried]
        return [(name, np.random.uniform(c["min"], c["max"])) for name, c in cfgs if np.random.random() < c["prob"]]

    def apply(self, results: dict[str, Any], drawn: list[tuple[str, float]]) -> dict[str, Any]:
        """Change the colours."""
        change = {"saturation": adjust_color, "contrast": adjust_contrast, "brightness": adjust_brightness}
        for name, much in drawn:
            img = results["img"]
            results["img"] = adjust_hue(img, much / _HUES) if name == "hue" else change[name](img, much)
        return results

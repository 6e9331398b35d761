"""Automatic augmentation that moves pixels. Boxes, masks, maps and keypoints follow; objects that leave are dropped.

Zoph et al., Learning Data Augmentation Strategies for Object Detection, arXiv:1906.11172.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from visuite.cv.image.warp import rotation_matrix, shear_matrix, translation_matrix
from visuite.cv.transforms import warp_sample
from visuite.cv.transforms.moves import Numbers
from visuite.cv.transforms.objects import drop_outside
from visuite.det.registry import TRANSFORMS
from visuite.det.transforms.levels import LevelledTransform


class GeometricTransform(LevelledTransform):
    """The base of these: a subclass says what matrix a strength stands for, and the ends of the strength.

    Args:
        prob: The chance of it.
        level: From 0 to 10; None: drawn evenly, for each image.
        min_mag: The strength of level 0; by default the class's.
        max_mag: The strength of level 10; by default the class's.
        reversal_prob: The chance of the other way.
        img_border_value: What comes in from outside: one value, or one per channel.
        mask_border_value: 0, the only value that masks can take on outside.
        seg_ignore_label: What comes into maps of classes.
        interpolation: Of the image.

    Raises:
        ValueError: another `mask_border_value`.
    """

    def __init__(
        self,
        prob: float = 1.0,
        level: float | None = None,
        *,
        min_mag: float | None = None,
        max_mag: float | None = None,
        reversal_prob: float = 0.5,
        img_border_value: Numbers = 128,
        mask_border_value: int = 0,
        seg_ignore_label: int = 255,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__(prob, level, min_mag=min_mag, max_mag=max_mag, reversal_prob=reversal_prob)
        if mask_border_value != 0:
            raise ValueError("mask_border_value is 0: no object lies outside of the image")
        self.img_border_value = img_border_value
        self.seg_ignore_label = seg_ignore_label
        self.interpolation = interpolation

    @abstractmethod
    def matrix(self, size: tuple[int, int], strength: float) -> np.ndarray:
        """Return the matrix (2, 3) for an image (w, h), from the index of a pixel to its new one."""

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Move the sample."""
        h, w = results["img"].shape[:2]
        warp_sample(
            results,
            self.matrix((w, h), strength),
            interpolation=self.interpolation,
            pad_val=self.img_border_value,
            seg_pad_val=self.seg_ignore_label,
        )
        drop_outside(results)


@TRANSFORMS.register_module()
class ShearX(GeometricTransform):
    """Move rows to the left, by their distance from the first; the strength is an angle in degrees."""

    ends: ClassVar = (0.0, 30.0)

    def matrix(self, size: tuple[int, int], strength: float) -> np.ndarray:
        """Return the matrix."""
        return shear_matrix(-math.tan(math.radians(strength)))


@TRANSFORMS.register_module()
class ShearY(GeometricTransform):
    """Move columns up, by their distance from the first; the strength is an angle in degrees."""

    ends: ClassVar = (0.0, 30.0)

    def matrix(self, size: tuple[int, int], strength: float) -> np.ndarray:
        """Return the matrix."""
        return shear_matrix(-math.tan(math.radians(strength)), "vertical")


@TRANSFORMS.register_module()
class Rotate(GeometricTransform):
    """Turn counter-clockwise about the middle; the strength is an angle in degrees."""

    ends: ClassVar = (0.0, 30.0)

    def matrix(self, size: tuple[int, int], strength: float) -> np.ndarray:
        """Return the matrix."""
        return rotation_matrix(size, -strength)


@TRANSFORMS.register_module()
class TranslateX(GeometricTransform):
    """Move to the left; the strength is a share of the image's width."""

    ends: ClassVar = (0.0, 0.1)

    def matrix(self, size: tuple[int, int], strength: float) -> np.ndarray:
        """Return the matrix."""
        return translation_matrix(-int(strength * size[0]))


@TRANSFORMS.register_module()
class TranslateY(GeometricTransform):
    """Move up; the strength is a share of the image's height."""

    ends: ClassVar = (0.0, 0.1)

    def matrix(self, size: tuple[int, int], strength: float) -> np.ndarray:
        """Return the matrix."""
        return translation_matrix(-int(strength * size[1]), "vertical")

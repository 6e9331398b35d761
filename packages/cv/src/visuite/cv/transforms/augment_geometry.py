"""Automatic augmentation that moves or hides pixels. Boxes, masks, maps and keypoints follow.

Each of these takes the arguments of `AugmentTransform` too: `magnitude_range`, `magnitude_level`, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.image import cutout
from visuite.cv.image.warp import rotation_matrix, shear_matrix, translation_matrix
from visuite.cv.transforms.augment import AugmentTransform
from visuite.cv.transforms.moves import Numbers
from visuite.cv.transforms.warp import warp_sample
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Rotate(AugmentTransform):
    """Turn clockwise.

    Args:
        angle: Degrees.
        center: (x, y); by default the image's middle.
        scale: A factor on the image.
        pad_val: What fills the corners, one value per channel. A single number fills the first channel alone and the
            others with 0: published recipes were trained so, and depend on it.
        prob: The chance of it.
        random_negative_prob: The chance of turning the other way.
        interpolation: Of the image.
        seg_pad_val: What fills the corners of maps.
        **level: As of `AugmentTransform`.
    """

    strength_name = "angle"

    def __init__(
        self,
        angle: float | None = None,
        center: tuple[float, float] | None = None,
        *,
        scale: float = 1.0,
        pad_val: Numbers = 128,
        prob: float = 0.5,
        random_negative_prob: float = 0.5,
        interpolation: str = "nearest",
        seg_pad_val: float = 255,
        **level: Any,
    ) -> None:
        super().__init__(angle, prob=prob, random_negative_prob=random_negative_prob, **level)
        self.center = center
        self.scale = scale
        self.pad_val = pad_val
        self.interpolation = interpolation
        self.seg_pad_val = seg_pad_val

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Turn by `strength` degrees."""
        h, w = results["img"].shape[:2]
        matrix = rotation_matrix((w, h), strength, self.center, self.scale)
        warp_sample(
            results,
            matrix,
            interpolation=self.interpolation,
            pad_val=_first_channel(self.pad_val, results["img"]),
            seg_pad_val=self.seg_pad_val,
        )


@TRANSFORMS.register_module()
class Shear(AugmentTransform):
    """Move each row, or column, by its distance from the first.

    Args:
        magnitude: Pixels for each pixel of distance.
        pad_val: What comes in from outside: one value, or one per channel.
        prob: The chance of it.
        direction: `horizontal` or `vertical`.
        random_negative_prob: The chance of the other way.
        interpolation: Of the image.
        seg_pad_val: What comes into maps.
        **level: As of `AugmentTransform`.
    """

    def __init__(
        self,
        magnitude: float | None = None,
        pad_val: Numbers = 128,
        *,
        prob: float = 0.5,
        direction: str = "horizontal",
        random_negative_prob: float = 0.5,
        interpolation: str = "bicubic",
        seg_pad_val: float = 255,
        **level: Any,
    ) -> None:
        super().__init__(magnitude, prob=prob, random_negative_prob=random_negative_prob, **level)
        self.pad_val = pad_val
        self.direction = _checked(direction)
        self.interpolation = interpolation
        self.seg_pad_val = seg_pad_val

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Shear by `strength`."""
        matrix = shear_matrix(strength, self.direction)
        warp_sample(
            results, matrix, interpolation=self.interpolation, pad_val=self.pad_val, seg_pad_val=self.seg_pad_val
        )


@TRANSFORMS.register_module()
class Translate(AugmentTransform):
    """Move to the right, or down.

    Args:
        magnitude: How far, as a share of the image's width (`horizontal`) or height.
        pad_val: What comes in from outside: one value, or one per channel.
        prob: The chance of it.
        direction: `horizontal` or `vertical`.
        random_negative_prob: The chance of the other way.
        interpolation: Of the image.
        seg_pad_val: What comes into maps.
        **level: As of `AugmentTransform`.
    """

    def __init__(
        self,
        magnitude: float | None = None,
        pad_val: Numbers = 128,
        *,
        prob: float = 0.5,
        direction: str = "horizontal",
        random_negative_prob: float = 0.5,
        interpolation: str = "nearest",
        seg_pad_val: float = 255,
        **level: Any,
    ) -> None:
        super().__init__(magnitude, prob=prob, random_negative_prob=random_negative_prob, **level)
        self.pad_val = pad_val
        self.direction = _checked(direction)
        self.interpolation = interpolation
        self.seg_pad_val = seg_pad_val

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Move by a share of the image."""
        h, w = results["img"].shape[:2]
        matrix = translation_matrix(strength * (w if self.direction == "horizontal" else h), self.direction)
        warp_sample(
            results, matrix, interpolation=self.interpolation, pad_val=self.pad_val, seg_pad_val=self.seg_pad_val
        )


@dataclass(frozen=True)
class Hole:
    """What `Cutout` draws: the middle (x, y) and the shape (h, w) of the rectangle."""

    center: tuple[float, float]
    shape: tuple[int, int]


@TRANSFORMS.register_module()
class Cutout(AugmentTransform):
    """Fill a rectangle at a random place. DeVries and Taylor, Improved Regularization ... with Cutout, 2017.

    Args:
        shape: (h, w), or one number for both. None: the level gives the edge of a square.
        pad_val: What fills it: one value, or one per channel.
        prob: The chance of it.
        **level: As of `AugmentTransform`.
    """

    strength_name = "shape"

    def __init__(
        self,
        shape: float | Sequence[int] | None = None,
        pad_val: Numbers = 128,
        *,
        prob: float = 0.5,
        **level: Any,
    ) -> None:
        edges = () if shape is None else (shape, shape) if isinstance(shape, (int, float)) else tuple(shape)
        super().__init__(max(edges) if edges else None, prob=prob, **level)
        self.shape = (int(edges[0]), int(edges[1])) if edges else None
        self.pad_val = pad_val

    def draw(self, results: dict[str, Any]) -> Hole | None:
        """Return where the rectangle lies, or None for none."""
        edge = self.draw_strength()
        if edge is None:
            return None
        h, w = results["img"].shape[:2]
        return Hole((np.random.uniform(0, w), np.random.uniform(0, h)), self.shape or (int(edge), int(edge)))

    def augment(self, results: dict[str, Any], strength: Hole) -> None:
        """Fill the rectangle."""
        results["img"] = cutout(results["img"], strength.shape, self.pad_val, center=strength.center)


def _checked(direction: str) -> str:
    if direction not in ("horizontal", "vertical"):
        raise ValueError(f"direction {direction!r} is neither 'horizontal' nor 'vertical'")
    return direction


def _first_channel(pad_val: Numbers, img: np.ndarray) -> Numbers:
    """Return a single number as a value for the first channel of an image, and 0 for the others."""
    if img.ndim == 2 or not isinstance(pad_val, (int, float)):
        return pad_val
    return [pad_val] + [0] * (img.shape[2] - 1)

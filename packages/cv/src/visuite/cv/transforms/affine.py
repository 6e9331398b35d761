"""Random affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.moves import Numbers
from visuite.cv.transforms.objects import drop_outside
from visuite.cv.transforms.warp import warp_sample
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomAffine(RandomTransform):
    """Scale, turn, shear and move the image, about its upper left corner; objects that leave it are dropped.

    Args:
        max_rotate_degree: The most degrees, either way.
        max_translate_ratio: The farthest move, as a share of the result's width and height, either way.
        scaling_ratio_range: Of the factor.
        max_shear_degree: The most degrees along each axis, either way.
        border: (w, h) added on both sides of the result; negative, it cuts a mosaic down to one image's size.
        border_val: What comes in from outside: one value, or one per channel.
        bbox_clip_border: Clip boxes to the image.

    Raises:
        ValueError: a share or a factor that is none.
    """

    def __init__(
        self,
        max_rotate_degree: float = 10.0,
        max_translate_ratio: float = 0.1,
        *,
        scaling_ratio_range: Sequence[float] = (0.5, 1.5),
        max_shear_degree: float = 2.0,
        border: Sequence[int] = (0, 0),
        border_val: Numbers = (114, 114, 114),
        bbox_clip_border: bool = True,
    ) -> None:
        if not 0 <= max_translate_ratio <= 1 or not 0 < scaling_ratio_range[0] <= scaling_ratio_range[1]:
            raise ValueError(
                f"max_translate_ratio {max_translate_ratio} lies in [0, 1], and scaling_ratio_range "
                f"{tuple(scaling_ratio_range)} is a range of positive factors"
            )
        self.max_rotate_degree = max_rotate_degree
        self.max_translate_ratio = max_translate_ratio
        self.scaling_ratio_range = (scaling_ratio_range[0], scaling_ratio_range[1])
        self.max_shear_degree = max_shear_degree
        self.border = (border[0], border[1])
        self.border_val = border_val
        self.bbox_clip_border = bbox_clip_border

    def draw(self, results: dict[str, Any]) -> np.ndarray:
        """Return the matrix (2, 3)."""
        w, h = self._size(results)
        turn = math.radians(np.random.uniform(-self.max_rotate_degree, self.max_rotate_degree))
        factor = np.random.uniform(*self.scaling_ratio_range)
        shear_x, shear_y = np.tan(np.radians(np.random.uniform(-self.max_shear_degree, self.max_shear_degree, 2)))
        move = np.random.uniform(-self.max_translate_ratio, self.max_translate_ratio, 2) * (w, h)
        rotation = factor * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        return np.column_stack([np.array([[1, shear_x], [shear_y, 1]]) @ rotation, move])

    def apply(self, results: dict[str, Any], drawn: np.ndarray) -> dict[str, Any]:
        """Map the sample, and drop the objects that left the image."""
        warp_sample(results, drawn, self._size(results), pad_val=self.border_val, clip_boxes=self.bbox_clip_border)
        drop_outside(results)
        return results

    def _size(self, results: dict[str, Any]) -> tuple[int, int]:
        """Return the result's (w, h)."""
        h, w = results["img"].shape[:2]
        return w + 2 * self.border[0], h + 2 * self.border[1]

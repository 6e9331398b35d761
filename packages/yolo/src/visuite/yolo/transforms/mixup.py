"""Two images, one over the other. Zhang et al., mixup, arXiv:1710.09412."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from visuite.cv.transforms import RandomTransform
from visuite.cv.transforms.moves import Numbers
from visuite.cv.transforms.objects import join_objects
from visuite.det.transforms.mixup import MixUpTransform
from visuite.yolo.registry import TRANSFORMS
from visuite.yolo.transforms.partners import Partners


@dataclass(frozen=True)
class Blending:
    """What `YOLOv5MixUp` draws: the other sample, and the image's own share of the pixels' values."""

    partner: dict[str, Any]
    share: float


@TRANSFORMS.register_module()
class YOLOv5MixUp(RandomTransform):
    """Mix another image of the same size in, with a share drawn from a beta distribution; all objects stay.

    Args:
        alpha: Of the beta distribution of the image's own share.
        beta: The same.
        pre_transform: What is done to the other image, beginning with reading it, up to what was done to this one.
        prob: The chance of it.
        use_cached: Take the other out of those that this process met last.
        max_cached_images: How many are kept, at least 2.
        random_pop: Let chance decide which image makes room for a new one.
        max_refetch: How many images are tried where `pre_transform` drops them.

    Raises:
        ValueError: a chance that is none, or too small a cache; images that differ in size.
    """

    def __init__(
        self,
        alpha: float = 32.0,
        beta: float = 32.0,
        *,
        pre_transform: Sequence[Any] | None = None,
        prob: float = 1.0,
        use_cached: bool = False,
        max_cached_images: int = 20,
        random_pop: bool = True,
        max_refetch: int = 15,
    ) -> None:
        if not 0 <= prob <= 1 or alpha <= 0 or beta <= 0:
            raise ValueError(f"prob {prob} is a chance, and alpha {alpha} and beta {beta} are positive")
        self.alpha = alpha
        self.beta = beta
        self.prob = prob
        self.others = Partners(
            pre_transform,
            use_cached=use_cached,
            max_cached_images=max_cached_images,
            random_pop=random_pop,
            max_refetch=max_refetch,
            least=2,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the sample where there is a cache, then draw and apply."""
        self.others.keep(results)
        return super().transform(results)

    def draw(self, results: dict[str, Any]) -> Blending | None:
        """Return what is mixed in and how much, or None for nothing."""
        if np.random.random() >= self.prob:
            return None
        partners = self.others.draw(results, 1)
        return Blending(partners[0], float(np.random.beta(self.alpha, self.beta))) if partners else None

    def apply(self, results: dict[str, Any], drawn: Blending | None) -> dict[str, Any]:
        """Mix the images."""
        if drawn is None:
            return results
        img, other = results["img"], drawn.partner["img"]
        if img.shape != other.shape:
            raise ValueError(
                f"YOLOv5MixUp mixes images of one size, not {img.shape} and {other.shape}: pre_transform has to end "
                "with what gives this pipeline's images their size, a Mosaic and an affine map"
            )
        results["img"] = cv2.addWeighted(img, drawn.share, other, 1 - drawn.share, 0).reshape(img.shape)
        join_objects(results, [drawn.partner])
        results.pop("homography_matrix", None)  # there is none for two images
        return results


@TRANSFORMS.register_module()
class YOLOXMixUp(MixUpTransform):
    """Mix another image, scaled, perhaps flipped and cut, into the image, half and half. YOLOX, arXiv:2107.08430.

    Args:
        img_scale: (w, h) that the other image is fitted into.
        ratio_range: Of a further factor on its size.
        flip_ratio: The chance that the other image is not flipped.
        pad_val: What stands where the other image is not.
        bbox_clip_border: Clip the other image's boxes.
        pre_transform: What is done to the other image, beginning with reading it.
        prob: The chance of it.
        use_cached: Take the other out of those that this process met last.
        max_cached_images: How many are kept, at least 2.
        random_pop: Let chance decide which image makes room for a new one.
        max_refetch: How many images are tried where `pre_transform` drops them.

    Raises:
        ValueError: a range or a chance that is none, or too small a cache.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        ratio_range: Sequence[float] = (0.5, 1.5),
        *,
        flip_ratio: float = 0.5,
        pad_val: Numbers = 114.0,
        bbox_clip_border: bool = True,
        pre_transform: Sequence[Any] | None = None,
        prob: float = 1.0,
        use_cached: bool = False,
        max_cached_images: int = 20,
        random_pop: bool = True,
        max_refetch: int = 15,
    ) -> None:
        super().__init__(
            img_scale,
            ratio_range,
            flip_ratio=flip_ratio,
            pad_val=pad_val,
            bbox_clip_border=bbox_clip_border,
            prob=prob,
        )
        self.others = Partners(
            pre_transform,
            use_cached=use_cached,
            max_cached_images=max_cached_images,
            random_pop=random_pop,
            max_refetch=max_refetch,
            least=2,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the sample where there is a cache, then draw and apply."""
        self.others.keep(results)
        return super().transform(results)

    def partner(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return the other sample, or None while the cache is too empty."""
        return next(iter(self.others.draw(results, 1)), None)

"""Two images, one over the other. Zhang et al., mixup, arXiv:1710.09412; for objects as in YOLOX, arXiv:2107.08430."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from visuite.cv.image import fitting_size, scale_size
from visuite.cv.transforms import RandomTransform
from visuite.cv.transforms.mosaic import mixed_in
from visuite.cv.transforms.moves import Numbers, crop_sample, flip_sample, pad_sample, resize_sample
from visuite.cv.transforms.objects import drop_outside, join_objects
from visuite.det.registry import TRANSFORMS
from visuite.det.transforms.cache import SampleCache


@dataclass(frozen=True)
class Blending:
    """What is drawn.

    Attributes:
        partner: The other sample.
        factor: On its size, after it was fitted into `img_scale`.
        flip: Whether it is flipped, horizontally.
        place: Which part of it is taken where it is larger than the image: from 0, its left and upper end, to 1.
    """

    partner: dict[str, Any]
    factor: float
    flip: bool
    place: tuple[float, float]


class MixUpTransform(RandomTransform):
    """The base of these: a subclass says where the other image comes from.

    The other image is fitted into `img_scale`, padded there, resized by a factor, perhaps flipped, and cut or padded to
    the image's own size; then each gives half of the pixels' values, and all objects stay. Other images without objects
    change nothing.

    Args:
        img_scale: (w, h) that the other image is fitted into.
        ratio_range: Of the factor.
        flip_ratio: The chance that the other image is not flipped (configs know it by this name).
        pad_val: What stands where the other image is not.
        max_iters: Draws of an image that may have no objects, before one is taken as it is.
        bbox_clip_border: Clip the other image's boxes.
        prob: The chance of it.

    Raises:
        ValueError: a range or a chance that is none.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        ratio_range: Sequence[float] = (0.5, 1.5),
        *,
        flip_ratio: float = 0.5,
        pad_val: Numbers = 114.0,
        max_iters: int = 15,
        bbox_clip_border: bool = True,
        prob: float = 1.0,
    ) -> None:
        if not 0 < ratio_range[0] <= ratio_range[1] or not 0 <= flip_ratio <= 1 or not 0 <= prob <= 1:
            raise ValueError(
                f"ratio_range {tuple(ratio_range)} is a range of positive factors, "
                f"flip_ratio {flip_ratio} and prob {prob} are chances"
            )
        self.img_scale = (img_scale[0], img_scale[1])
        self.ratio_range = (ratio_range[0], ratio_range[1])
        self.flip_ratio = flip_ratio
        self.pad_val = pad_val
        self.max_iters = max_iters
        self.bbox_clip_border = bbox_clip_border
        self.prob = prob

    @abstractmethod
    def partner(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return the other sample, or None where there is none."""

    def draw(self, results: dict[str, Any]) -> Blending | None:
        """Return what is mixed in and how, or None for nothing."""
        if np.random.random() >= self.prob:
            return None
        partner = self.partner(results)
        if partner is None or not len(partner["gt_bboxes"]):
            return None
        factor = np.random.uniform(*self.ratio_range)
        flip = bool(np.random.random() > self.flip_ratio)
        return Blending(partner, factor, flip, (np.random.random(), np.random.random()))

    def apply(self, results: dict[str, Any], drawn: Blending | None) -> dict[str, Any]:
        """Mix the other image in."""
        if drawn is None:
            return results
        h, w = results["img"].shape[:2]
        other = self._fitted(drawn)
        tall, wide = other["img"].shape[:2]
        pad_sample(other, (0, 0, max(w - wide, 0), max(h - tall, 0)), pad_val=self.pad_val)
        x, y = (int(share * max(room + 1, 1)) for share, room in zip(drawn.place, (wide - w, tall - h), strict=True))
        crop_sample(other, (x, y, x + w, y + h), clip_boxes=self.bbox_clip_border)
        drop_outside(other)
        mixed = cv2.addWeighted(results["img"], 0.5, other["img"].astype(results["img"].dtype), 0.5, 0)
        results["img"] = mixed.reshape(results["img"].shape)
        join_objects(results, [other])
        results.pop("homography_matrix", None)  # there is none for two images
        drop_outside(results)
        return results

    def _fitted(self, drawn: Blending) -> dict[str, Any]:
        """Return the other sample, of size `img_scale` times the factor."""
        other = dict(drawn.partner)
        canvas = scale_size(self.img_scale, drawn.factor)
        wide, tall = fitting_size(other["img"].shape, canvas)
        resize_sample(other, (wide, tall), clip_boxes=self.bbox_clip_border)
        pad_sample(other, (0, 0, canvas[0] - wide, canvas[1] - tall), pad_val=self.pad_val)
        if drawn.flip:
            flip_sample(other, "horizontal")
        return other


@TRANSFORMS.register_module()
class MixUp(MixUpTransform):
    """Mix another image into the image; a `MultiImageMixDataset` hands it over. YOLOX, arXiv:2107.08430.

    Args:
        img_scale: (w, h) that the other image is fitted into.
        ratio_range: Of a further factor on its size.
        flip_ratio: The chance that the other image is not flipped.
        pad_val: What stands where the other image is not.
        max_iters: Draws of an image that may have no objects, before one is taken as it is.
        bbox_clip_border: Clip the other image's boxes.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        ratio_range: Sequence[float] = (0.5, 1.5),
        *,
        flip_ratio: float = 0.5,
        pad_val: Numbers = 114.0,
        max_iters: int = 15,
        bbox_clip_border: bool = True,
    ) -> None:
        super().__init__(
            img_scale,
            ratio_range,
            flip_ratio=flip_ratio,
            pad_val=pad_val,
            max_iters=max_iters,
            bbox_clip_border=bbox_clip_border,
        )

    def get_indexes(self, dataset: Any) -> int:
        """Draw which sample of a data set is the other, one with objects if there is any near."""
        for _ in range(self.max_iters):
            index = int(np.random.randint(len(dataset)))
            if _has_objects(dataset, index):
                break
        return index

    def partner(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return the sample at `mix_results`.

        Raises:
            KeyError: there is none.
        """
        return mixed_in(results, 1, type(self).__name__)[0]


@TRANSFORMS.register_module()
class CachedMixUp(MixUpTransform):
    """Mix another image into the image, out of those that this process made last: nothing is read twice.

    Lyu et al., RTMDet, arXiv:2212.07784. Mind `SampleCache`: samples depend on the number of workers.

    Args:
        img_scale: (w, h) that the other image is fitted into.
        ratio_range: Of a further factor on its size.
        flip_ratio: The chance that the other image is not flipped.
        pad_val: What stands where the other image is not.
        max_iters: Draws of an image that may have no objects, before one is taken as it is.
        bbox_clip_border: Clip the other image's boxes.
        max_cached_images: How many images are kept, at least 2.
        random_pop: Let chance decide which image makes room for a new one.
        prob: The chance of it.

    Raises:
        ValueError: fewer than 2 images.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        ratio_range: Sequence[float] = (0.5, 1.5),
        *,
        flip_ratio: float = 0.5,
        pad_val: Numbers = 114.0,
        max_iters: int = 15,
        bbox_clip_border: bool = True,
        max_cached_images: int = 20,
        random_pop: bool = True,
        prob: float = 1.0,
    ) -> None:
        super().__init__(
            img_scale,
            ratio_range,
            flip_ratio=flip_ratio,
            pad_val=pad_val,
            max_iters=max_iters,
            bbox_clip_border=bbox_clip_border,
            prob=prob,
        )
        if max_cached_images < 2:
            raise ValueError(f"two images are mixed, max_cached_images is {max_cached_images}")
        self.cache = SampleCache(max_cached_images, random_pop)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the sample, then draw and apply."""
        self.cache.push(results)
        return super().transform(results)

    def partner(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return a sample out of the cache, one with objects if there is any near; None while it is too empty."""
        if len(self.cache) < 2:
            return None
        for _ in range(self.max_iters):
            partner = self.cache.draw()
            if len(partner["gt_bboxes"]):
                break
        return partner


def _has_objects(dataset: Any, index: int) -> bool:
    """Whether a sample has objects, from its record where there is one: loading it only to see would be dear."""
    if hasattr(dataset, "get_data_info"):
        return bool(dataset.get_data_info(index).get("instances"))
    return bool(len(dataset[index]["gt_bboxes"]))

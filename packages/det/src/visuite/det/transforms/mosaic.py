"""Four images in one, from a data set or from a cache. Bochkovskiy et al., YOLOv4, arXiv:2004.10934."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.mosaic import PARTNERS, MosaicTransform, mixed_in
from visuite.cv.transforms.moves import Numbers
from visuite.det.registry import TRANSFORMS
from visuite.det.transforms.cache import SampleCache


@TRANSFORMS.register_module()
class Mosaic(MosaicTransform):
    """Put four images into one; a `MultiImageMixDataset` hands over the other three. YOLOv4, arXiv:2004.10934.

    Args:
        img_scale: (w, h) that each image is fitted into; the result is twice as large.
        center_ratio_range: Where the four meet, over w and h.
        bbox_clip_border: Clip boxes to the result.
        pad_val: What stands where no image is.
        prob: The chance of it.
    """

    def get_indexes(self, dataset: Any) -> list[int]:
        """Draw which samples of a data set are the other three."""
        return np.random.randint(len(dataset), size=PARTNERS).tolist()

    def partners(self, results: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Return the samples at `mix_results`.

        Raises:
            KeyError: there are none.
        """
        return mixed_in(results, PARTNERS, type(self).__name__)


@TRANSFORMS.register_module()
class CachedMosaic(MosaicTransform):
    """Put four images into one, three of them out of those that this process made last: nothing is read twice.

    Lyu et al., RTMDet, arXiv:2212.07784. Mind `SampleCache`: samples depend on the number of workers.

    Args:
        img_scale: (w, h) that each image is fitted into; the result is twice as large.
        center_ratio_range: Where the four meet, over w and h.
        bbox_clip_border: Clip boxes to the result.
        pad_val: What stands where no image is.
        prob: The chance of it.
        max_cached_images: How many images are kept, at least 4.
        random_pop: Let chance decide which image makes room for a new one.

    Raises:
        ValueError: fewer than 4 images.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        center_ratio_range: Sequence[float] = (0.5, 1.5),
        *,
        bbox_clip_border: bool = True,
        pad_val: Numbers = 114.0,
        prob: float = 1.0,
        max_cached_images: int = 40,
        random_pop: bool = True,
    ) -> None:
        super().__init__(img_scale, center_ratio_range, bbox_clip_border=bbox_clip_border, pad_val=pad_val, prob=prob)
        if max_cached_images < PARTNERS + 1:
            raise ValueError(f"a mosaic takes {PARTNERS + 1} images, max_cached_images is {max_cached_images}")
        self.cache = SampleCache(max_cached_images, random_pop)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the sample, then draw and apply."""
        self.cache.push(results)
        return super().transform(results)

    def partners(self, results: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Return samples out of the cache, or none while it is too empty."""
        return [self.cache.draw() for _ in range(PARTNERS)] if len(self.cache) > PARTNERS else []

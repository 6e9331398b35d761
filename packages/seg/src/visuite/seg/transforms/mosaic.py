"""Four images in one, with their maps. Bochkovskiy et al., YOLOv4, arXiv:2004.10934."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.mosaic import PARTNERS, MosaicTransform, mixed_in
from visuite.cv.transforms.moves import Numbers
from visuite.seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomMosaic(MosaicTransform):
    """Put four images and their maps into one; a `MultiImageMixDataset` hands over the other three.

    Args:
        prob: The chance of it.
        img_scale: (h, w) that each image is fitted into; the result is twice as large.
        center_ratio_range: Where the four meet, over h and w.
        pad_val: What stands where no image is.
        seg_pad_val: The same in maps.
    """

    def __init__(
        self,
        prob: float,
        img_scale: Sequence[int] = (640, 640),
        *,
        center_ratio_range: Sequence[float] = (0.5, 1.5),
        pad_val: Numbers = 0,
        seg_pad_val: float = 255,
    ) -> None:
        super().__init__(
            (img_scale[1], img_scale[0]), center_ratio_range, pad_val=pad_val, seg_pad_val=seg_pad_val, prob=prob
        )

    def get_indices(self, dataset: Any) -> list[int]:
        """Draw which samples of a data set are the other three."""
        return np.random.randint(len(dataset), size=PARTNERS).tolist()

    def partners(self, results: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Return the samples at `mix_results`.

        Raises:
            KeyError: there are none.
        """
        return mixed_in(results, PARTNERS, type(self).__name__)

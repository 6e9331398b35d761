"""Four images in one, or nine. Bochkovskiy et al., YOLOv4, arXiv:2004.10934; nine of them as in YOLOv7's recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.image import fitting_size
from visuite.cv.transforms import RandomTransform
from visuite.cv.transforms.mosaic import PARTNERS, MosaicTransform, empty_canvas, paste
from visuite.cv.transforms.moves import Numbers, resize_sample, seg_keys
from visuite.cv.transforms.objects import OBJECT_KEYS, drop_outside, join_objects
from visuite.cv.transforms.warp import warp_objects
from visuite.yolo.registry import TRANSFORMS
from visuite.yolo.transforms.partners import Partners

#: The images of a mosaic of nine.
_NINE = 9


@TRANSFORMS.register_module()
class Mosaic(MosaicTransform):
    """Put four images into one, about a random point; see `visuite.cv.transforms.mosaic` for a picture. YOLOv4.

    Args:
        img_scale: (w, h) that each image is fitted into; the result is twice as large.
        center_ratio_range: Where the four meet, over w and h.
        bbox_clip_border: Clip boxes to the result.
        pad_val: What stands where no image is.
        pre_transform: What is done to the other three, beginning with reading them.
        prob: The chance of it.
        use_cached: Take the others out of those that this process met last.
        max_cached_images: How many are kept, at least 4.
        random_pop: Let chance decide which image makes room for a new one.
        max_refetch: How many images are tried where `pre_transform` drops them.

    Raises:
        ValueError: a range or a chance that is none, or too small a cache.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        center_ratio_range: Sequence[float] = (0.5, 1.5),
        *,
        bbox_clip_border: bool = True,
        pad_val: Numbers = 114.0,
        pre_transform: Sequence[Any] | None = None,
        prob: float = 1.0,
        use_cached: bool = False,
        max_cached_images: int = 40,
        random_pop: bool = True,
        max_refetch: int = 15,
    ) -> None:
        super().__init__(img_scale, center_ratio_range, bbox_clip_border=bbox_clip_border, pad_val=pad_val, prob=prob)
        self.others = Partners(
            pre_transform,
            use_cached=use_cached,
            max_cached_images=max_cached_images,
            random_pop=random_pop,
            max_refetch=max_refetch,
            least=PARTNERS + 1,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the sample where there is a cache, then draw and apply."""
        self.others.keep(results)
        return super().transform(results)

    def partners(self, results: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Return three more samples, or none while the cache is too empty."""
        return self.others.draw(results, PARTNERS)


@dataclass(frozen=True)
class Window:
    """What `Mosaic9` draws: the upper left corner (x, y) of what is cut out of the nine, and the other eight."""

    corner: tuple[int, int]
    partners: Sequence[dict[str, Any]]


@TRANSFORMS.register_module()
class Mosaic9(RandomTransform):
    """Put nine images into one: one in the middle and eight around it, of which a window is cut out at random.

              +---------+
        +----+|    2    |          Each image is as large as fits into w x h. The eight go around the middle one:
        |    |+---+     |          1 stands on its upper edge, 3 at its right one, 5 below it, 7 at its left, and each
        | 8  || 1 |     |          of the others next to the one before it. All of it fits into 3 w x 3 h, and the
        |    |+---+-+---+--+       window is 2 w x 2 h large.
        +----+|     |  3   |
         +---+|  0  +------+-+
         | 7 ||     |    4   |
     +---+---+---+--+        |
     |     6 |  5   +--------+
     +-------+------+

    Args:
        img_scale: (w, h) that each image is fitted into; the result is twice as large.
        bbox_clip_border: Clip boxes to the result.
        pad_val: What stands where no image is.
        pre_transform: What is done to the other eight, beginning with reading them.
        prob: The chance of it.
        use_cached: Take the others out of those that this process met last.
        max_cached_images: How many are kept, at least 9.
        random_pop: Let chance decide which image makes room for a new one.
        max_refetch: How many images are tried where `pre_transform` drops them.

    Raises:
        ValueError: a chance that is none, or too small a cache.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        bbox_clip_border: bool = True,
        *,
        pad_val: Numbers = 114.0,
        pre_transform: Sequence[Any] | None = None,
        prob: float = 1.0,
        use_cached: bool = False,
        max_cached_images: int = 50,
        random_pop: bool = True,
        max_refetch: int = 15,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob {prob} is no chance: it must lie between 0 and 1")
        self.img_scale = (img_scale[0], img_scale[1])
        self.bbox_clip_border = bbox_clip_border
        self.pad_val = pad_val
        self.prob = prob
        self.others = Partners(
            pre_transform,
            use_cached=use_cached,
            max_cached_images=max_cached_images,
            random_pop=random_pop,
            max_refetch=max_refetch,
            least=_NINE,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the sample where there is a cache, then draw and apply."""
        self.others.keep(results)
        return super().transform(results)

    def draw(self, results: dict[str, Any]) -> Window | None:
        """Return where the window lies and which the other images are, or None for no mosaic."""
        if np.random.random() >= self.prob:
            return None
        partners = self.others.draw(results, _NINE - 1)
        x, y = (int(np.random.uniform(0, edge)) for edge in self.img_scale)
        return Window((x, y), partners) if partners else None

    def apply(self, results: dict[str, Any], drawn: Window | None) -> dict[str, Any]:
        """Make the mosaic: only what the window shows is painted."""
        if drawn is None:
            return results
        tiles = [dict(one) for one in (results, *drawn.partners)]
        size = (2 * self.img_scale[0], 2 * self.img_scale[1])
        canvas = empty_canvas(results["img"], size, self.pad_val)
        sizes = [fitting_size(tile["img"].shape, self.img_scale) for tile in tiles]
        shift = np.array(self.img_scale) - drawn.corner  # of the middle image
        for tile, fitted, corner in zip(tiles, sizes, nine_corners(sizes), strict=True):
            left, top = (corner + shift).tolist()
            resize_sample(tile, fitted, clip_boxes=self.bbox_clip_border)
            paste(canvas, tile["img"], left, top)
            warp_objects(tile, np.array([[1.0, 0, left], [0, 1, top]]), size, clip_boxes=self.bbox_clip_border)
        join_objects(tiles[0], tiles[1:])
        results.update({key: tiles[0][key] for key in OBJECT_KEYS if tiles[0].get(key) is not None}, img=canvas)
        for key in seg_keys(results):
            del results[key]
        results["img_shape"] = (size[1], size[0])
        results.pop("homography_matrix", None)  # there is none for nine images
        drop_outside(results)
        return results


def nine_corners(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the upper left corners (9, 2) of nine images of sizes (w, h), that of the middle one being 0, 0.

    The picture of `Mosaic9` shows their order. Two images stand at each side of the middle one: the first touches it,
    and the other stands next to the first, the way that goes around.
    """
    size = np.array(sizes)
    (w0, h0), wide, tall = size[0], size[:, 0], size[:, 1]
    return np.array([
        (0, 0),
        (0, -tall[1]),
        (wide[1], -tall[2]),
        (w0, 0),
        (w0, tall[3]),
        (w0 - wide[5], h0),
        (w0 - wide[5] - wide[6], h0),
        (-wide[7], h0 - tall[7]),
        (-wide[8], h0 - tall[7] - tall[8]),
    ])  # fmt: skip

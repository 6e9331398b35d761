"""Four images in one. Bochkovskiy et al., YOLOv4, arXiv:2004.10934.

x1 = 0                    centre x             2 W
+---------------------------+-------------------+ 0
|            first          |  second           |
|       +-------------------+----------+        |      each image is as large as fits into W x H,
|       |                   |          |        |      and touches the centre with one corner
+-------+-------------------+----------+--------+ centre y
|       |     third         |  fourth           |
+-------+-------------------+-------------------+ 2 H
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.image import blank, fitting_size
from visuite.cv.transforms.base import RandomTransform
from visuite.cv.transforms.moves import Numbers, resize_sample, seg_keys
from visuite.cv.transforms.objects import OBJECT_KEYS, drop_outside, join_objects
from visuite.cv.transforms.warp import warp_objects

#: How many images there are besides the first.
PARTNERS = 3


@dataclass(frozen=True)
class Tiling:
    """What is drawn: the point (x, y) where the four images meet, and the other three samples."""

    centre: tuple[int, int]
    partners: Sequence[dict[str, Any]]


class MosaicTransform(RandomTransform):
    """The base of these: a subclass says where the other three images come from.

    The result is of size (2 w, 2 h); objects that are outside of it are dropped. Maps of classes come along where all
    four images have them.

    Args:
        img_scale: (w, h) that each image is fitted into.
        center_ratio_range: Where the four meet, over w and h.
        bbox_clip_border: Clip boxes to the result.
        pad_val: What stands where no image is.
        seg_pad_val: The same for maps of classes.
        prob: The chance of it.

    Raises:
        ValueError: a range or a chance that is none.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        center_ratio_range: Sequence[float] = (0.5, 1.5),
        *,
        bbox_clip_border: bool = True,
        pad_val: Numbers = 114.0,
        seg_pad_val: float = 255,
        prob: float = 1.0,
    ) -> None:
        if not 0 <= center_ratio_range[0] <= center_ratio_range[1] <= 2 or not 0 <= prob <= 1:
            raise ValueError(
                f"center_ratio_range {tuple(center_ratio_range)} is a range within (0, 2), and prob {prob} a chance"
            )
        self.img_scale = (img_scale[0], img_scale[1])
        self.center_ratio_range = (center_ratio_range[0], center_ratio_range[1])
        self.bbox_clip_border = bbox_clip_border
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.prob = prob

    @abstractmethod
    def partners(self, results: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Return three more samples, or none where there are not enough."""

    def draw(self, results: dict[str, Any]) -> Tiling | None:
        """Return where the images meet and which they are, or None for no mosaic."""
        if np.random.random() >= self.prob:
            return None
        partners = self.partners(results)
        x, y = (int(edge * np.random.uniform(*self.center_ratio_range)) for edge in self.img_scale)
        return Tiling((x, y), partners) if partners else None

    def apply(self, results: dict[str, Any], drawn: Tiling | None) -> dict[str, Any]:
        """Make the mosaic."""
        if drawn is None:
            return results
        tiles = [dict(one) for one in (results, *drawn.partners)]
        maps = [key for key in seg_keys(results) if all(tile.get(key) is not None for tile in tiles)]
        size = (2 * self.img_scale[0], 2 * self.img_scale[1])
        canvases = {"img": empty_canvas(results["img"], size, self.pad_val)}
        canvases |= {key: empty_canvas(results[key], size, self.seg_pad_val) for key in maps}
        for number, tile in enumerate(tiles):
            w, h = fitting_size(tile["img"].shape, self.img_scale)
            resize_sample(tile, (w, h), clip_boxes=self.bbox_clip_border)
            left, top = drawn.centre[0] - w * (number % 2 == 0), drawn.centre[1] - h * (number < 2)
            for key, canvas in canvases.items():
                paste(canvas, tile[key], left, top)
            warp_objects(tile, np.array([[1.0, 0, left], [0, 1, top]]), size, clip_boxes=self.bbox_clip_border)
        join_objects(tiles[0], tiles[1:])
        results.update({key: tiles[0][key] for key in OBJECT_KEYS if tiles[0].get(key) is not None}, **canvases)
        for key in seg_keys(results):
            if key not in maps:
                del results[key]
        results["img_shape"] = (size[1], size[0])
        results.pop("homography_matrix", None)  # there is none for four images
        drop_outside(results)
        return results


def mixed_in(results: dict[str, Any], count: int, name: str) -> Sequence[dict[str, Any]]:
    """Return the samples that a `MultiImageMixDataset` put to `mix_results`.

    Raises:
        KeyError: there are not as many.
    """
    found = results.get("mix_results") or ()
    if len(found) != count:
        raise KeyError(
            f"{name} needs {count} more samples at 'mix_results', not {len(found)}: use it in a MultiImageMixDataset"
        )
    return found


def empty_canvas(like: np.ndarray, size: tuple[int, int], value: Numbers) -> np.ndarray:
    """Return an image of size (w, h) and one value, with the kind and the channels of another (h, w, ...)."""
    return blank((size[1], size[0], *like.shape[2:]), like.dtype, value)


def paste(canvas: np.ndarray, img: np.ndarray, left: int, top: int) -> None:
    """Put an image (h, w, ...) onto a canvas, as far as it lies there."""
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + img.shape[1], canvas.shape[1]), min(top + img.shape[0], canvas.shape[0])
    if x1 < x2 and y1 < y2:
        canvas[y1:y2, x1:x2] = img[y1 - top : y2 - top, x1 - left : x2 - left]

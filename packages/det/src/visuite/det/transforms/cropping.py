"""Cutting a part out of the image, or putting it onto a larger one. Objects that leave the image are dropped.

A window is x1, y1, x2, y2 in pixels, the right and lower edge being outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visuite.cv.transforms import RandomTransform, keep_objects
from visuite.cv.transforms.crop import Window
from visuite.cv.transforms.moves import crop_sample, cut_sample, pad_sample
from visuite.cv.transforms.objects import drop_outside
from visuite.det.registry import TRANSFORMS
from visuite.engine.utils.text import did_you_mean

_CROP_TYPES = ("absolute", "absolute_range", "relative", "relative_range")
#: Draws that may give no good window, before the transform settles for what it has.
_ATTEMPTS = 50


@TRANSFORMS.register_module()
class RandomCrop(RandomTransform):
    """Cut out a window at a random place; set `img_shape`. Windows larger than the image take what there is.

    Args:
        crop_size: What it means depends on `crop_type`.
        crop_type: `absolute`: (w, h) in pixels. `absolute_range`: the least and the largest edge, between which both
            edges are drawn. `relative`: shares of the image's width and height. `relative_range`: the least shares,
            between which and 1 they are drawn.
        allow_negative_crop: Keep windows without any object; else the image is dropped.
        recompute_bbox: Make the boxes fit the masks that are left.
        bbox_clip_border: Clip boxes to the window.

    Raises:
        ValueError: an unknown type, or sizes that are none of its kind.
    """

    def __init__(
        self,
        crop_size: Sequence[float],
        crop_type: str = "absolute",
        *,
        allow_negative_crop: bool = False,
        recompute_bbox: bool = False,
        bbox_clip_border: bool = True,
    ) -> None:
        if crop_type not in _CROP_TYPES:
            raise ValueError(f"crop_type {crop_type!r} is none of {_CROP_TYPES}{did_you_mean(crop_type, _CROP_TYPES)}")
        first, second = crop_size
        relative, positive = crop_type.startswith("relative"), first > 0 and second > 0
        whole = float(first).is_integer() and float(second).is_integer()
        if not positive or (max(first, second) > 1 if relative else not whole):
            raise ValueError(f"crop_size {tuple(crop_size)} holds {'shares up to 1' if relative else 'pixels'}")
        if crop_type == "absolute_range" and first > second:
            raise ValueError(f"crop_size {tuple(crop_size)} is a least and a largest edge")
        self.crop_size = (first, second)
        self.crop_type = crop_type
        self.allow_negative_crop = allow_negative_crop
        self.recompute_bbox = recompute_bbox
        self.bbox_clip_border = bbox_clip_border

    def draw(self, results: dict[str, Any]) -> Window:
        """Return the window."""
        h, w = results["img"].shape[:2]
        wide, tall = self._size(w, h)
        x1, y1 = np.random.randint(w - wide + 1), np.random.randint(h - tall + 1)
        return x1, y1, x1 + wide, y1 + tall

    def apply(self, results: dict[str, Any], drawn: Window) -> dict[str, Any] | None:
        """Cut the window out; None where no object is left, unless that is allowed."""
        crop_sample(results, drawn, clip_boxes=self.bbox_clip_border)
        if "gt_bboxes" not in results:
            return results
        drop_outside(results)
        if not len(results["gt_bboxes"]) and not self.allow_negative_crop:
            return None
        if self.recompute_bbox and results.get("gt_masks") is not None:
            results["gt_bboxes"] = results["gt_masks"].get_bboxes().numpy()
        return results

    def _size(self, w: int, h: int) -> tuple[int, int]:
        """Return the window's (w, h), at least one pixel large."""
        first, second = self.crop_size
        if self.crop_type == "absolute":
            return min(int(first), w), min(int(second), h)
        if self.crop_type == "absolute_range":
            low, high = int(first), int(second)
            wide, tall = (np.random.randint(min(low, edge), min(high, edge) + 1) for edge in (w, h))
            return wide, tall
        if self.crop_type == "relative_range":
            first, second = np.random.uniform(first, 1), np.random.uniform(second, 1)
        return max(int(w * first + 0.5), 1), max(int(h * second + 0.5), 1)


@TRANSFORMS.register_module()
class MinIoURandomCrop(RandomTransform):
    """Cut out a window that overlaps all objects by a least IoU. Liu et al., SSD, arXiv:1512.02325.

    Windows have a ratio of height to width from 0.5 to 2. Objects whose middle lies outside are dropped.

    Args:
        min_ious: The least IoUs, of which chance takes one, or none at all, or no crop.
        min_crop_size: The least edges of the window, as a share of the image's.
        bbox_clip_border: Clip boxes to the window.
    """

    def __init__(
        self,
        min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
        min_crop_size: float = 0.3,
        *,
        bbox_clip_border: bool = True,
    ) -> None:
        if not 0 < min_crop_size <= 1 or not all(0 <= one <= 1 for one in min_ious):
            raise ValueError(f"min_crop_size {min_crop_size} and min_ious {tuple(min_ious)} lie between 0 and 1")
        self.min_ious = tuple(min_ious)
        self.min_crop_size = min_crop_size
        self.bbox_clip_border = bbox_clip_border

    def draw(self, results: dict[str, Any]) -> Window | None:
        """Return the window, or None for no crop."""
        h, w = results["img"].shape[:2]
        boxes = results["gt_bboxes"]
        for _ in range(_ATTEMPTS):
            least = np.random.choice([1.0, *self.min_ious, 0.0])
            if least == 1:
                return None
            for _ in range(_ATTEMPTS):
                wide, tall = (np.random.uniform(self.min_crop_size * edge, edge) for edge in (w, h))
                if not 0.5 <= tall / wide <= 2:
                    continue
                left, top = np.random.uniform(0, w - wide), np.random.uniform(0, h - tall)
                window = (int(left), int(top), int(left + wide), int(top + tall))
                if self._suits(window, boxes, least):
                    return window
        return None

    def apply(self, results: dict[str, Any], drawn: Window | None) -> dict[str, Any]:
        """Cut the window out."""
        if drawn is not None:
            keep = middles_inside(results["gt_bboxes"], drawn)
            crop_sample(results, drawn, clip_boxes=self.bbox_clip_border)
            keep_objects(results, keep)
        return results

    @staticmethod
    def _suits(window: Window, boxes: np.ndarray, least: float) -> bool:
        x1, y1, x2, y2 = window
        if x2 <= x1 or y2 <= y1:
            return False
        if not len(boxes):
            return True
        return bool(window_overlaps(boxes, window).min() >= least and middles_inside(boxes, window).any())


@dataclass(frozen=True)
class Canvas:
    """What `Expand` draws: the size (w, h), and where the image's corner comes to lie."""

    size: tuple[int, int]
    left: int
    top: int


@TRANSFORMS.register_module()
class Expand(RandomTransform):
    """Put the image onto a larger, even one, so that objects become small. Liu et al., SSD, arXiv:1512.02325.

    Args:
        mean: What fills the larger image, one value per channel, in RGB order with `to_rgb`.
        to_rgb: Whether the model turns BGR into RGB.
        ratio_range: The larger image's edges over the image's.
        seg_ignore_label: What fills maps of classes; by default 255.
        prob: The chance of it.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0, 0, 0),
        to_rgb: bool = True,
        *,
        ratio_range: Sequence[float] = (1, 4),
        seg_ignore_label: int | None = None,
        prob: float = 0.5,
    ) -> None:
        if not 1 <= ratio_range[0] <= ratio_range[1] or not 0 <= prob <= 1:
            raise ValueError(f"ratio_range {tuple(ratio_range)} is a range from 1 upwards, prob {prob} a chance")
        self.mean = tuple(mean[::-1] if to_rgb else mean)
        self.ratio_range = (ratio_range[0], ratio_range[1])
        self.seg_ignore_label = 255 if seg_ignore_label is None else seg_ignore_label
        self.prob = prob

    def draw(self, results: dict[str, Any]) -> Canvas | None:
        """Return the larger image, or None for none."""
        if np.random.random() >= self.prob:
            return None
        h, w = results["img"].shape[:2]
        ratio = np.random.uniform(*self.ratio_range)
        wide, tall = int(w * ratio), int(h * ratio)
        return Canvas((wide, tall), np.random.randint(wide - w + 1), np.random.randint(tall - h + 1))

    def apply(self, results: dict[str, Any], drawn: Canvas | None) -> dict[str, Any]:
        """Put the image there."""
        if drawn is not None:
            h, w = results["img"].shape[:2]
            right, below = drawn.size[0] - drawn.left - w, drawn.size[1] - drawn.top - h
            borders = (drawn.left, drawn.top, right, below)
            pad_sample(results, borders, pad_val=self.mean, seg_pad_val=self.seg_ignore_label)
        return results


@TRANSFORMS.register_module()
class RandomShift(RandomTransform):
    """Shift the image, with black coming in; where that would leave no object, it stays. Chen et al., arXiv:2103.09460.

    Args:
        prob: The chance of it.
        max_shift_px: The most pixels, in each direction.
        filter_thr_px: Objects that are not wider and higher than this after it are dropped.
    """

    def __init__(self, prob: float = 0.5, max_shift_px: int = 32, *, filter_thr_px: int = 1) -> None:
        if not 0 <= prob <= 1 or max_shift_px < 0:
            raise ValueError(f"prob {prob} is a chance, and max_shift_px {max_shift_px} at least 0")
        self.prob = prob
        self.max_shift_px = max_shift_px
        self.filter_thr_px = filter_thr_px

    def draw(self, results: dict[str, Any]) -> tuple[int, int] | None:
        """Return the shift (to the right, down), or None for none."""
        if np.random.random() >= self.prob:
            return None
        h, w = results["img"].shape[:2]
        limits = [min(self.max_shift_px, edge - 1) for edge in (w, h)]
        dx, dy = (int(np.random.randint(-limit, limit + 1)) for limit in limits)
        return dx, dy

    def apply(self, results: dict[str, Any], drawn: tuple[int, int] | None) -> dict[str, Any]:
        """Shift the sample."""
        if drawn is None:
            return results
        h, w = results["img"].shape[:2]
        (dx, dy), shifted = drawn, dict(results)
        cut_sample(shifted, (-dx, -dy, w - dx, h - dy))
        sizes = shifted["gt_bboxes"][:, 2:] - shifted["gt_bboxes"][:, :2]
        keep = (sizes > self.filter_thr_px).all(axis=1)
        if not keep.any():
            return results
        keep_objects(shifted, keep)
        results.update(shifted)
        return results


@TRANSFORMS.register_module()
class RandomCenterCropPad(RandomTransform):
    """Cut out a window about a random point near the image's middle; it may reach over the edges, which are padded.

    In a test, put the image into the middle of a larger one. Law and Deng, CornerNet, arXiv:1808.01244. Sets
    `img_shape`, and `border`, where the image lies in the result: top, bottom, left, right.

    Args:
        crop_size: (w, h) of the window, times one of `ratios`; None in a test.
        ratios: Of which chance takes one.
        border: The least distance of the window's middle from the image's edges; less in small images.
        mean: What fills the padding, one value per channel, in RGB order with `to_rgb`.
        std: Without effect.
        to_rgb: Whether the model turns BGR into RGB.
        test_mode: Do as in a test.
        test_pad_mode: `('logical_or', n)`: edges become `edge | n`; `('size_divisor', n)`: the next multiples of n.
        test_pad_add_pix: Pixels more on each edge.
        bbox_clip_border: Clip boxes to the result.

    Raises:
        ValueError: `crop_size` is missing, or given in a test; an unknown `test_pad_mode`.
    """

    def __init__(
        self,
        crop_size: Sequence[int] | None = None,
        ratios: Sequence[float] | None = (0.9, 1.0, 1.1),
        *,
        border: int | None = 128,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        to_rgb: bool | None = None,
        test_mode: bool = False,
        test_pad_mode: Sequence[Any] | None = ("logical_or", 127),
        test_pad_add_pix: int = 0,
        bbox_clip_border: bool = True,
    ) -> None:
        if test_mode != (crop_size is None):
            raise ValueError("RandomCenterCropPad needs crop_size for training, and takes none with test_mode=True")
        if test_mode and (test_pad_mode is None or test_pad_mode[0] not in ("logical_or", "size_divisor")):
            raise ValueError(f"test_pad_mode {test_pad_mode} is neither ('logical_or', n) nor ('size_divisor', n)")
        self.crop_size = None if crop_size is None else (crop_size[0], crop_size[1])
        self.ratios = tuple(ratios or (1.0,))
        self.border = border or 0
        self.mean = tuple((0, 0, 0) if mean is None else mean[::-1] if to_rgb else mean)
        self.test_pad_mode = test_pad_mode
        self.test_pad_add_pix = test_pad_add_pix
        self.bbox_clip_border = bbox_clip_border

    def draw(self, results: dict[str, Any]) -> Window:
        """Return the window, one with an object if there is any."""
        h, w = results["img"].shape[:2]
        if self.crop_size is None:
            wide, tall = self._test_size(w), self._test_size(h)
            return _about(w // 2, h // 2, wide, tall)
        for _ in range(_ATTEMPTS):
            ratio = np.random.choice(self.ratios)
            wide, tall = (int(edge * ratio) for edge in self.crop_size)
            x, y = (
                np.random.randint(margin, edge - margin)
                for edge, margin in ((w, self._margin(w)), (h, self._margin(h)))
            )
            window = _about(x, y, wide, tall)
            if not len(results.get("gt_bboxes", ())) or middles_inside(results["gt_bboxes"], window).any():
                break
        return window

    def apply(self, results: dict[str, Any], drawn: Window) -> dict[str, Any]:
        """Cut the window out."""
        h, w = results["img"].shape[:2]
        x1, y1, x2, y2 = drawn
        top, left = max(-y1, 0), max(-x1, 0)
        results["border"] = np.array([top, min(h, y2) - y1, left, min(w, x2) - x1], np.float32)
        keep = middles_inside(results["gt_bboxes"], drawn) if "gt_bboxes" in results else None
        cut_sample(results, drawn, pad_val=self.mean, clip_boxes=self.bbox_clip_border)
        if keep is not None and self.crop_size is not None:
            keep_objects(results, keep)
        return results

    def _test_size(self, edge: int) -> int:
        """Return an edge of a test's result."""
        assert self.test_pad_mode is not None  # the constructor saw to it
        mode, value = self.test_pad_mode
        return (edge | value if mode == "logical_or" else -(-edge // value) * value) + self.test_pad_add_pix

    def _margin(self, edge: int) -> int:
        """Return the least distance of the middle from an edge: `border`, halved until it leaves room."""
        margin = self.border
        while 2 * margin >= edge:
            margin //= 2
        return margin


def middles_inside(boxes: np.ndarray, window: Window) -> np.ndarray:
    """Whether the middle of each box (N, 4) lies inside a window, (N,) bool."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((middles > window[:2]) & (middles < window[2:])).all(axis=1)


def window_overlaps(boxes: np.ndarray, window: Window) -> np.ndarray:
    """Return the IoU of each box (N, 4) with a window, (N,)."""
    x1, y1, x2, y2 = window
    inner = np.minimum(boxes[:, 2:], (x2, y2)) - np.maximum(boxes[:, :2], (x1, y1))
    common = inner.clip(0).prod(axis=1)
    return common / ((x2 - x1) * (y2 - y1) + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - common)


def _about(x: int, y: int, wide: int, tall: int) -> Window:
    """Return the window of a size about a point."""
    x1, y1 = x - wide // 2, y - tall // 2
    return x1, y1, x1 + wide, y1 + tall

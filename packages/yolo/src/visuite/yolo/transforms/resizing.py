"""Resizing as the YOLO family tests: as large as fits, and grey around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visuite.cv.image import scale_size
from visuite.cv.transforms.moves import Numbers, pad_sample, resize_sample
from visuite.det.transforms.resizing import cut_size
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.utils.text import did_you_mean
from visuite.yolo.registry import TRANSFORMS

#: With `use_mini_pad`, edges are padded to a multiple of this: the stride of the coarsest map.
_STRIDE = 32
_PADS = ("img", "mask", "masks", "seg")


@TRANSFORMS.register_module()
class YOLOv5KeepRatioResize(BaseTransform):
    """Resize until the image fits into a scale, smoothing where it shrinks; set `scale_factor` (w, h) and `img_shape`.

    One edge is met exactly, and the other cut down to whole pixels.

    Args:
        scale: (w, h), the largest allowed long and short edge; or one number for both.
        keep_ratio: True, there is nothing else.
        clip_object_border: Clip boxes and keypoints to the image.
        backend: `cv2` or `pillow`.

    Raises:
        ValueError: `keep_ratio` is False.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        keep_ratio: bool = True,
        *,
        clip_object_border: bool = True,
        backend: str = "cv2",
    ) -> None:
        if not keep_ratio:
            raise ValueError("YOLOv5KeepRatioResize keeps the ratio; Resize does not with keep_ratio=False")
        self.scale = _pair(scale)
        self.clip_object_border = clip_object_border
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the sample."""
        h, w = results["img"].shape[:2]
        size = cut_size((h, w), self.scale)
        results["scale"], results["keep_ratio"] = self.scale, True
        if size == (w, h):
            results["scale_factor"] = (1.0, 1.0)
            return results
        resize_sample(
            results,
            size,
            interpolation="area" if size < (w, h) else "bilinear",
            backend=self.backend,
            clip_boxes=self.clip_object_border,
        )
        return results


@TRANSFORMS.register_module()
class LetterResize(BaseTransform):
    """Resize until the image fits into a scale, and pad it evenly to this scale.

    A `batch_shape` (h, w) that the record has, see `BatchShapePolicy`, stands for the scale. Sets `img_shape`;
    `scale_factor` (w, h), together with what was resized before; and `pad_param` (4,), the pixels at the top, the
    bottom, the left and the right. Of odd numbers of pixels, the bottom and the right get more.

    Args:
        scale: (w, h), or one number for both.
        pad_val: A value (or one per channel) for the image, or `dict(img=0, mask=0, seg=255)`. A whole number fills all
            channels of the image. Mind that a float, `114.0`, fills the first one alone and the others with 0: so the
            published models were trained.
        use_mini_pad: Pad only to the next multiples of 32.
        stretch_only: Stretch to the scale instead of padding.
        allow_scale_up: Make small images larger, too.
        half_pad_param: Tell of halves of the padding in `pad_param`, halves of pixels included, as masks need it.
        clip_object_border: Clip boxes and keypoints to the image.
        backend: `cv2` or `pillow`.
        interpolation: Of the image; maps and masks take the nearest pixel.

    Raises:
        ValueError: `pad_val` names something else.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        pad_val: Numbers | Mapping[str, Numbers] = 0,
        *,
        use_mini_pad: bool = False,
        stretch_only: bool = False,
        allow_scale_up: bool = True,
        half_pad_param: bool = False,
        clip_object_border: bool = True,
        backend: str = "cv2",
        interpolation: str = "bilinear",
    ) -> None:
        given = pad_val if isinstance(pad_val, Mapping) else {"img": pad_val}
        if unknown := [key for key in given if key not in _PADS]:
            raise ValueError(f"pad_val has no {unknown[0]!r}, only {_PADS}{did_you_mean(unknown[0], _PADS)}")
        self.scale = _pair(scale)
        self.pad_val: dict[str, Any] = {"img": 0, "seg": 255, "mask": given.get("masks", 0), **given}
        self.use_mini_pad = use_mini_pad
        self.stretch_only = stretch_only
        self.allow_scale_up = allow_scale_up
        self.half_pad_param = half_pad_param
        self.clip_object_border = clip_object_border
        self.backend = backend
        self.interpolation = interpolation

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize and pad the sample."""
        h, w = results["img"].shape[:2]
        scale = self.scale
        if results.get("batch_shape") is not None:
            tall, wide = results["batch_shape"]
            scale = (int(wide), int(tall))
        results["scale"], results["keep_ratio"] = scale, not self.stretch_only
        self._resize(results, self._fitted((w, h), scale))
        h, w = results["img"].shape[:2]
        missing = [most - edge for most, edge in zip(scale, (w, h), strict=True)]
        if self.use_mini_pad:
            missing = [number % _STRIDE for number in missing]
        across, down = missing
        left, top = across // 2, down // 2
        borders = [top, down - top, left, across - left]
        if self.half_pad_param:
            results["pad_param"] = np.array([down / 2, down / 2, across / 2, across / 2], np.float32)
        else:
            results["pad_param"] = np.array(borders, np.float32)
        if across or down:
            pad_sample(
                results,
                (left, top, across - left, down - top),
                pad_val=_channel_values(self.pad_val["img"], results["img"]),
                seg_pad_val=self.pad_val["seg"],
                mask_pad_val=self.pad_val["mask"],
            )
        return results

    def _fitted(self, size: tuple[int, int], scale: tuple[int, int]) -> tuple[int, int]:
        """Return the size (w, h) that an image of a size (w, h) gets before it is padded."""
        if self.stretch_only:
            return scale
        factor = min(scale[0] / size[0], scale[1] / size[1])
        if factor > 1 and not self.allow_scale_up:
            return size
        wide, tall = scale_size(size, factor)
        return max(min(wide, scale[0]), 1), max(min(tall, scale[1]), 1)

    def _resize(self, results: dict[str, Any], size: tuple[int, int]) -> None:
        """Resize to (w, h), on top of what was resized before."""
        before = results.get("scale_factor", (1.0, 1.0))
        results["scale_factor"] = (1.0, 1.0)
        if size != results["img"].shape[1::-1]:
            resize_sample(
                results,
                size,
                interpolation=self.interpolation,
                backend=self.backend,
                clip_boxes=self.clip_object_border,
            )
        now = results["scale_factor"]
        results["scale_factor"] = (now[0] * before[0], now[1] * before[1])


def _channel_values(value: Numbers, img: np.ndarray) -> Numbers:
    """Return what fills the channels of an image: of a float, all but the first get 0."""
    return (value, *[0.0] * (img.shape[2] - 1)) if isinstance(value, float) and img.ndim > 2 else value


def _pair(scale: int | Sequence[int]) -> tuple[int, int]:
    return (scale, scale) if isinstance(scale, int) else (int(scale[0]), int(scale[1]))

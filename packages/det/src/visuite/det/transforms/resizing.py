"""Resizing by detection's own rules."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from visuite.cv.image import imresize, scale_size
from visuite.cv.transforms.moves import Numbers, pad_sample, resize_sample, seg_keys
from visuite.det.registry import TRANSFORMS
from visuite.engine.dataset.transform_base import BaseTransform


@TRANSFORMS.register_module()
class FixShapeResize(BaseTransform):
    """Resize to one shape; with the aspect ratio kept, what is missing is padded at the right and the bottom.

    Sets `img_shape`, `scale`, `scale_factor` (w, h) and `keep_ratio`.

    Args:
        width: In pixels.
        height: In pixels.
        pad_val: A value (or one per channel) for the image, or `dict(img=0, masks=0, seg=255)`.
        keep_ratio: Keep the aspect ratio.
        clip_object_border: Clip boxes and keypoints to the image.
        backend: `cv2` or `pillow`.
        interpolation: Of the image; maps and masks take the nearest pixel.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        pad_val: Numbers | Mapping[str, Numbers] = 0,
        keep_ratio: bool = False,
        clip_object_border: bool = True,
        backend: str = "cv2",
        interpolation: str = "bilinear",
    ) -> None:
        given = pad_val if isinstance(pad_val, Mapping) else {"img": pad_val}
        self.size = (width, height)
        self.pad_val: dict[str, Any] = {"img": 0, "masks": 0, "seg": 255, **given}
        self.keep_ratio = keep_ratio
        self.clip_object_border = clip_object_border
        self.backend = backend
        self.interpolation = interpolation

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the sample."""
        results["scale"], results["keep_ratio"] = self.size, self.keep_ratio
        size = fitting_size(results["img"].shape, self.size) if self.keep_ratio else self.size
        resize_sample(
            results,
            size,
            interpolation=self.interpolation,
            backend=self.backend,
            clip_boxes=self.clip_object_border,
        )
        if size != self.size:
            pad_sample(
                results,
                (0, 0, self.size[0] - size[0], self.size[1] - size[1]),
                pad_val=self.pad_val["img"],
                seg_pad_val=self.pad_val["seg"],
                mask_pad_val=self.pad_val["masks"],
            )
        return results


@TRANSFORMS.register_module()
class FixScaleResize(BaseTransform):
    """Resize as `Resize` does, but with the limiting edge met exactly and the other cut down to whole pixels.

    Models of the GLIP family were trained so: 640 x 480 at scale (800, 1333) becomes 1066 x 800, not 1067 x 800.

    Args:
        scale: (w, h). With `keep_ratio`: the largest allowed long and short edge, in any order.
        keep_ratio: Keep the aspect ratio.
        clip_object_border: Clip boxes and keypoints to the image.
        backend: `cv2` or `pillow`.
        interpolation: Of the image; maps and masks take the nearest pixel.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        keep_ratio: bool = False,
        *,
        clip_object_border: bool = True,
        backend: str = "cv2",
        interpolation: str = "bilinear",
    ) -> None:
        self.scale = (scale, scale) if isinstance(scale, int) else (scale[0], scale[1])
        self.keep_ratio = keep_ratio
        self.clip_object_border = clip_object_border
        self.backend = backend
        self.interpolation = interpolation

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the sample."""
        results["scale"], results["keep_ratio"] = self.scale, self.keep_ratio
        resize_sample(
            results,
            self._size(*results["img"].shape[:2]) if self.keep_ratio else self.scale,
            interpolation=self.interpolation,
            backend=self.backend,
            clip_boxes=self.clip_object_border,
        )
        return results

    def _size(self, h: int, w: int) -> tuple[int, int]:
        """Return (w, h) in whole numbers alone, where nothing is lost to rounding."""
        long, short = max(self.scale), min(self.scale)
        limit, edge = (long, max(h, w)) if long * min(h, w) < short * max(h, w) else (short, min(h, w))
        return max(w * limit // edge, 1), max(h * limit // edge, 1)


@TRANSFORMS.register_module()
class ResizeShortestEdge(BaseTransform):
    """Resize until the shorter edge has a given length, or less where the longer would get too long.

    Args:
        scale: The length of the shorter edge, or two numbers, of which the smaller counts.
        max_size: The largest allowed longer edge.
        resize_type: The transform that resizes, to its attribute `scale`.
        **resize_kwargs: Its further arguments.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        max_size: int | None = None,
        *,
        resize_type: str = "Resize",
        **resize_kwargs: Any,
    ) -> None:
        self.scale = scale if isinstance(scale, int) else min(scale)
        self.max_size = max_size
        self.resize = TRANSFORMS.build({"type": resize_type, "scale": self.scale, **resize_kwargs})

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the sample."""
        h, w = results["img"].shape[:2]
        factor = self.scale / min(h, w)
        if self.max_size is not None:
            factor = min(factor, self.max_size / max(h, w))
        resize = copy.copy(self.resize)
        resize.scale = scale_size((w, h), factor)
        return resize(results)


@TRANSFORMS.register_module()
class SegRescale(BaseTransform):
    """Resize the map of classes alone, for models that predict it in another size.

    Args:
        scale_factor: On both edges.
        backend: `cv2` or `pillow`.
    """

    def __init__(self, scale_factor: float = 1, backend: str = "cv2") -> None:
        self.scale_factor = scale_factor
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the maps to the nearest pixels."""
        for key in seg_keys(results) if self.scale_factor != 1 else ():
            h, w = results[key].shape
            size = scale_size((w, h), self.scale_factor)
            results[key] = imresize(results[key], size, interpolation="nearest", backend=self.backend)
        return results


def fitting_size(shape: Sequence[int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size (w, h) of an image (h, w, ...), with its aspect ratio, that fits into a size (w, h)."""
    h, w = shape[:2]
    wide, tall = scale_size((w, h), min(size[0] / w, size[1] / h))
    return max(min(wide, size[0]), 1), max(min(tall, size[1]), 1)

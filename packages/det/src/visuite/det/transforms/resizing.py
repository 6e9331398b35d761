"""Resizing by detection's own rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visuite.cv.image import fitting_size
from visuite.cv.transforms.moves import Numbers, pad_sample, resize_sample
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
            cut_size(results["img"].shape, self.scale) if self.keep_ratio else self.scale,
            interpolation=self.interpolation,
            backend=self.backend,
            clip_boxes=self.clip_object_border,
        )
        return results


def cut_size(shape: Sequence[int], scale: Sequence[int]) -> tuple[int, int]:
    """Return the size (w, h) of an image (h, w, ...) scaled with its aspect ratio, cut down to whole pixels.

    Args:
        shape: Of the image.
        scale: The largest allowed long and short edge, in any order, one of which is met exactly.
    """
    h, w = shape[:2]  # whole numbers alone, where nothing is lost to rounding
    long, short = max(scale), min(scale)
    limit, edge = (long, max(h, w)) if long * min(h, w) < short * max(h, w) else (short, min(h, w))
    return max(w * limit // edge, 1), max(h * limit // edge, 1)

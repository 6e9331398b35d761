"""Transforms that change an image's scale."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from visuite.cv.image import imresize, rescale_size, scale_size
from visuite.cv.transforms.moves import resize_sample, seg_keys
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Resize(BaseTransform):
    """Resize the image and all that belongs to it; set `img_shape`, `scale`, `scale_factor` (w, h) and `keep_ratio`.

    Args:
        scale: (w, h), or one number for both. With `keep_ratio`: the largest allowed long and short edge.
        scale_factor: Used when there is no `scale`: one factor, or (w, h).
        keep_ratio: Keep the aspect ratio.
        clip_object_border: Clip boxes and keypoints to the image.
        backend: `cv2` or `pillow`.
        interpolation: Of the image; maps and masks take the nearest pixel.

    Raises:
        ValueError: neither `scale` nor `scale_factor`.
    """

    def __init__(
        self,
        scale: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        *,
        keep_ratio: bool = False,
        clip_object_border: bool = True,
        backend: str = "cv2",
        interpolation: str = "bilinear",
    ) -> None:
        if scale is None and scale_factor is None:
            raise ValueError("Resize needs scale or scale_factor")
        self.scale = (scale, scale) if isinstance(scale, int) else scale and tuple(scale)
        self.scale_factor = scale_factor if isinstance(scale_factor, (int, float, type(None))) else tuple(scale_factor)
        self.keep_ratio = keep_ratio
        self.clip_object_border = clip_object_border
        self.backend = backend
        self.interpolation = interpolation

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the sample."""
        h, w = results["img"].shape[:2]
        results["scale"] = self.scale or scale_size((w, h), self.scale_factor)  # type: ignore[arg-type]
        results["keep_ratio"] = self.keep_ratio
        resize_sample(
            results,
            rescale_size((w, h), results["scale"]) if self.keep_ratio else results["scale"],
            interpolation=self.interpolation,
            backend=self.backend,
            clip_boxes=self.clip_object_border,
        )
        return results


@TRANSFORMS.register_module()
class ResizeEdge(BaseTransform):
    """Resize until one edge has a given length, with the aspect ratio kept; set `img_shape` and `scale_factor` (w, h).

    Args:
        scale: The length of the edge in pixels.
        edge: `short`, `long`, `width` or `height`.
        backend: `cv2` or `pillow`.
        interpolation: Of the image.

    Raises:
        ValueError: an unknown edge.
    """

    def __init__(
        self, scale: int, edge: str = "short", *, backend: str = "cv2", interpolation: str = "bilinear"
    ) -> None:
        if edge not in ("short", "long", "width", "height"):
            raise ValueError(f"edge {edge!r} is none of 'short', 'long', 'width', 'height'")
        self.scale = scale
        self.edge = edge
        self.backend = backend
        self.interpolation = interpolation

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the sample."""
        h, w = results["img"].shape[:2]
        of_width = self.edge == "width" or (self.edge == "short" and w < h) or (self.edge == "long" and w > h)
        size = (self.scale, int(self.scale * h / w)) if of_width else (int(self.scale * w / h), self.scale)
        results["scale"] = size
        resize_sample(results, size, interpolation=self.interpolation, backend=self.backend)
        return results


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

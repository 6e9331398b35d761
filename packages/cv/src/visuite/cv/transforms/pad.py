"""Padding to a size."""

from __future__ import annotations

from typing import Any

from visuite.cv.transforms.moves import Numbers, pad_sample
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Pad(BaseTransform):
    """Pad at the right and the bottom; set `img_shape`, `pad_shape`, `pad_fixed_size` and `pad_size_divisor`.

    Args:
        size: (w, h) to reach.
        size_divisor: Make both edges multiples of it; after `pad_to_square` too.
        pad_to_square: Pad the shorter edge to the longer.
        pad_val: A value (or one per channel) for the image, or `dict(img=0, masks=0, seg=255)`.
        padding_mode: `constant`, `edge`, `reflect` or `symmetric`.

    Raises:
        ValueError: not exactly one of `size`, and `size_divisor` or `pad_to_square`.
    """

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        size_divisor: int | None = None,
        *,
        pad_to_square: bool = False,
        pad_val: Numbers | dict[str, Numbers] = 0,
        padding_mode: str = "constant",
    ) -> None:
        if (size is None) == (size_divisor is None and not pad_to_square):
            raise ValueError("Pad needs either size, or size_divisor or pad_to_square")
        self.size = None if size is None else (size[0], size[1])
        self.size_divisor = size_divisor
        self.pad_to_square = pad_to_square
        given = pad_val if isinstance(pad_val, dict) else {"img": pad_val}
        self.pad_val: dict[str, Any] = {"img": 0, "masks": 0, "seg": 255, **given}
        self.padding_mode = padding_mode

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pad the sample."""
        h, w = results["img"].shape[:2]
        to_w, to_h = self._target(w, h)
        pad_sample(
            results,
            (0, 0, max(to_w - w, 0), max(to_h - h, 0)),
            pad_val=self.pad_val["img"],
            seg_pad_val=self.pad_val["seg"],
            mask_pad_val=self.pad_val["masks"],
            padding_mode=self.padding_mode,
        )
        results["pad_shape"] = results["img"].shape
        results["pad_fixed_size"] = self.size
        results["pad_size_divisor"] = self.size_divisor
        return results

    def _target(self, w: int, h: int) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        if self.pad_to_square:
            w = h = max(w, h)
        divisor = self.size_divisor or 1
        return -(-w // divisor) * divisor, -(-h // divisor) * divisor

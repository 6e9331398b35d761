"""Resizing to a size that chance decides on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms.base import RandomTransform
from visuite.engine.registry import TRANSFORMS

Scale = tuple[int, int]


@TRANSFORMS.register_module()
class RandomResize(RandomTransform):
    """Resize to a scale from a range; set `scale` and what the resizing sets.

    Args:
        scale: With `ratio_range`: a scale (w, h), which the ratio is multiplied to. Without: two scales, between which
            the longer and the shorter edge are drawn.
        ratio_range: The range of the ratio.
        resize_type: The transform that resizes, to its attribute `scale`.
        **resize_kwargs: Its further arguments, such as `keep_ratio`.

    Raises:
        ValueError: the scales are not what `ratio_range` calls for.
    """

    def __init__(
        self,
        scale: Sequence[Any],
        ratio_range: tuple[float, float] | None = None,
        *,
        resize_type: str = "Resize",
        **resize_kwargs: Any,
    ) -> None:
        single = len(scale) == 2 and all(isinstance(one, (int, float)) for one in scale)
        if single != (ratio_range is not None) or (not single and len(scale) != 2):
            raise ValueError(
                f"RandomResize takes one scale (w, h) and ratio_range, or two scales; not scale={scale}, "
                f"ratio_range={ratio_range}"
            )
        self.scale = scale
        self.ratio_range = ratio_range
        self.resize = TRANSFORMS.build({"type": resize_type, **resize_kwargs, "scale": scale if single else scale[0]})

    def draw(self, results: dict[str, Any]) -> Scale:
        """Return the scale (w, h)."""
        if self.ratio_range is not None:
            ratio = np.random.uniform(*self.ratio_range)
            return int(self.scale[0] * ratio), int(self.scale[1] * ratio)
        longer, shorter = (sorted(pick(one) for one in self.scale) for pick in (max, min))
        return int(np.random.randint(longer[0], longer[1] + 1)), int(np.random.randint(shorter[0], shorter[1] + 1))

    def apply(self, results: dict[str, Any], drawn: Scale) -> dict[str, Any]:
        """Resize to the scale."""
        resize = copy.copy(self.resize)
        results["scale"] = resize.scale = drawn
        return resize(results)


@TRANSFORMS.register_module()
class RandomChoiceResize(RandomTransform):
    """Resize to one of some scales; set `scale`, `scale_idx` and what the resizing sets.

    Args:
        scales: Scales (w, h), or numbers for both.
        resize_type: The transform that resizes.
        **resize_kwargs: Its further arguments, such as `keep_ratio`.

    Raises:
        ValueError: no scale.
    """

    def __init__(self, scales: Sequence[int | Scale], resize_type: str = "Resize", **resize_kwargs: Any) -> None:
        if not scales:
            raise ValueError("RandomChoiceResize needs at least one scale")
        self.scales = list(scales)
        self.resizes = [TRANSFORMS.build({"type": resize_type, **resize_kwargs, "scale": one}) for one in scales]

    def draw(self, results: dict[str, Any]) -> int:
        """Return the number of a scale."""
        return int(np.random.randint(len(self.scales)))

    def apply(self, results: dict[str, Any], drawn: int) -> dict[str, Any]:
        """Resize to the scale of this number."""
        results["scale"], results["scale_idx"] = self.scales[drawn], drawn
        return self.resizes[drawn](results)

"""Automatic augmentation of colours: nothing moves, so that only the image is concerned.

Each of these takes the arguments of `AugmentTransform` too: `magnitude_range`, `magnitude_level`, ...
"""

from __future__ import annotations

from typing import Any

from visuite.cv.image import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    auto_contrast,
    gaussian_blur,
    imequalize,
    iminvert,
    posterize,
    solarize,
    solarize_add,
)
from visuite.cv.transforms.augment import AugmentTransform
from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class AutoContrast(AugmentTransform):
    """Stretch each channel to the full range.

    Args:
        prob: The chance of it.
        **level: Without effect: this transform has no strength.
    """

    strength_name = None

    def __init__(self, prob: float = 0.5, **level: Any) -> None:
        super().__init__(prob=prob, **level)

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Stretch."""
        results["img"] = auto_contrast(results["img"])


@TRANSFORMS.register_module()
class Equalize(AugmentTransform):
    """Equalise the histogram of each channel.

    Args:
        prob: The chance of it.
        **level: Without effect: this transform has no strength.
    """

    strength_name = None

    def __init__(self, prob: float = 0.5, **level: Any) -> None:
        super().__init__(prob=prob, **level)

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Equalise."""
        results["img"] = imequalize(results["img"])


@TRANSFORMS.register_module()
class Invert(AugmentTransform):
    """Make the negative.

    Args:
        prob: The chance of it.
        **level: Without effect: this transform has no strength.
    """

    strength_name = None

    def __init__(self, prob: float = 0.5, **level: Any) -> None:
        super().__init__(prob=prob, **level)

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Invert."""
        results["img"] = iminvert(results["img"])


@TRANSFORMS.register_module()
class Posterize(AugmentTransform):
    """Keep the highest bits of each value.

    Args:
        bits: How many of the 8; fractions are cut off.
        prob: The chance of it.
        **level: As of `AugmentTransform`.
    """

    strength_name = "bits"

    def __init__(self, bits: float | None = None, prob: float = 0.5, **level: Any) -> None:
        super().__init__(bits, prob=prob, **level)
        if bits is not None and not 0 <= bits <= 8:
            raise ValueError(f"Posterize keeps 0 to 8 bits, not {bits}")

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Posterise."""
        results["img"] = posterize(results["img"], int(strength))


@TRANSFORMS.register_module()
class Solarize(AugmentTransform):
    """Invert the values that are at least a threshold.

    Args:
        thr: The threshold.
        prob: The chance of it.
        **level: As of `AugmentTransform`.
    """

    strength_name = "thr"

    def __init__(self, thr: float | None = None, prob: float = 0.5, **level: Any) -> None:
        super().__init__(thr, prob=prob, **level)

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Solarise."""
        results["img"] = solarize(results["img"], strength)


@TRANSFORMS.register_module()
class SolarizeAdd(AugmentTransform):
    """Add to the values below a threshold.

    Args:
        magnitude: What is added.
        thr: The threshold.
        prob: The chance of it.
        **level: As of `AugmentTransform`.
    """

    def __init__(self, magnitude: float | None = None, thr: float = 128, *, prob: float = 0.5, **level: Any) -> None:
        super().__init__(magnitude, prob=prob, **level)
        self.thr = thr

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Brighten the dark values."""
        results["img"] = solarize_add(results["img"], strength, self.thr)


class _Adjustment(AugmentTransform):
    """An adjustment by the factor `1 + magnitude`, or `1 - magnitude`.

    Args:
        magnitude: 0 changes nothing.
        prob: The chance of it.
        random_negative_prob: The chance that the magnitude becomes negative.
        **level: As of `AugmentTransform`.
    """

    def __init__(
        self, magnitude: float | None = None, prob: float = 0.5, *, random_negative_prob: float = 0.5, **level: Any
    ) -> None:
        super().__init__(magnitude, prob=prob, random_negative_prob=random_negative_prob, **level)


@TRANSFORMS.register_module()
class ColorTransform(_Adjustment):
    """Strengthen or weaken the colours: at magnitude -1 none is left."""

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Adjust the colours."""
        results["img"] = adjust_color(results["img"], 1 + strength)


@TRANSFORMS.register_module()
class Contrast(_Adjustment):
    """Strengthen or weaken the contrast: at magnitude -1 the image is an even grey."""

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Adjust the contrast."""
        results["img"] = adjust_contrast(results["img"], 1 + strength)


@TRANSFORMS.register_module()
class Brightness(_Adjustment):
    """Brighten or darken: at magnitude -1 the image is black."""

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Adjust the brightness."""
        results["img"] = adjust_brightness(results["img"], 1 + strength)


@TRANSFORMS.register_module()
class Sharpness(_Adjustment):
    """Sharpen or smooth: at magnitude -1 the image is smoothed."""

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Adjust the sharpness."""
        results["img"] = adjust_sharpness(results["img"], 1 + strength)


@TRANSFORMS.register_module()
class GaussianBlur(AugmentTransform):
    """Smooth with a Gaussian.

    Args:
        radius: Its standard deviation in pixels.
        prob: The chance of it.
        **level: As of `AugmentTransform`.
    """

    strength_name = "radius"

    def __init__(self, radius: float | None = None, prob: float = 0.5, **level: Any) -> None:
        super().__init__(radius, prob=prob, **level)

    def augment(self, results: dict[str, Any], strength: float) -> None:
        """Blur."""
        results["img"] = gaussian_blur(results["img"], strength)

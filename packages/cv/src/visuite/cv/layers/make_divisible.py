"""Numbers of channels that hardware likes."""

from __future__ import annotations


def make_divisible(value: float, divisor: int, min_value: int | None = None, min_ratio: float = 0.9) -> int:
    """Round to the nearest multiple of `divisor`, and one up where that takes away too much (arXiv:1801.04381).

    Args:
        value: A number of channels, perhaps scaled.
        divisor: What the result is a multiple of.
        min_value: The least result; by default `divisor`.
        min_ratio: The least part of `value` that stays.
    """
    rounded = max(min_value or divisor, int(value / divisor + 0.5) * divisor)
    return rounded if rounded >= min_ratio * value else rounded + divisor

"""From the numbers of a config to those of a network: one family, several sizes."""

from __future__ import annotations

import math


def make_divisible(channels: float, widen_factor: float = 1.0, divisor: int = 8) -> int:
    """Return a number of channels, widened, and rounded up to a multiple of `divisor`.

    Args:
        channels: Before widening, as configs have it.
        widen_factor: What it is multiplied by.
        divisor: What the result is a multiple of.
    """
    return math.ceil(channels * widen_factor / divisor) * divisor


def make_round(blocks: int, deepen_factor: float = 1.0) -> int:
    """Return a number of blocks, deepened and rounded to the nearest; where there is one, one stays.

    Args:
        blocks: Before deepening, as configs have it.
        deepen_factor: What it is multiplied by.
    """
    return max(round(blocks * deepen_factor), 1) if blocks > 1 else blocks

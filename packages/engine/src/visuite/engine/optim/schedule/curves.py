"""The shapes of schedules, as pure functions of the step.

A curve f(t) says which share of a value is left at step t = 0, 1, ... of its window; 1 is all of it. The driver moves a
value v by v <- floor + (v - floor) * f(t) / f(t - 1), so several curves compose and every parameter group keeps its own
scale. Curves know nothing of optimizers, windows or epochs.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

Curve = Callable[[int], float]


def constant(factor: float, steps: float) -> Curve:
    """Return f = `factor` before step `steps`, 1 from there on."""
    return lambda t: factor if t < steps else 1.0


def linear(start: float, stop: float, steps: float) -> Curve:
    """Return the straight line from `start` at step 0 to `stop` at step `steps`, where it stays."""
    return lambda t: start + (stop - start) * (min(t / steps, 1.0) if steps > 0 else 0.0)


def exponential(gamma: float) -> Curve:
    """Return gamma ** t."""
    return lambda t: gamma**t


def staircase(step_size: int, gamma: float) -> Curve:
    """Return a curve that is multiplied by `gamma` every `step_size` steps."""
    return lambda t: gamma ** (t // step_size)


def multi_step(milestones: Sequence[float], gamma: float) -> Curve:
    """Return a curve that is multiplied by `gamma` at each milestone (twice where one is named twice)."""
    ordered = sorted(milestones)
    return lambda t: gamma ** bisect_right(ordered, t)


def half_cosine(t: float, steps: float) -> float:
    """Return (1 + cos(pi t / steps)) / 2, written so that it is exactly 0 at odd multiples of `steps`."""
    return math.sin(0.5 * math.pi * (1.0 - (t % (2 * steps)) / steps)) ** 2


def cosine(steps: float) -> Curve:
    """Return half a cosine wave from 1 to 0 in `steps` steps, which swings back after that (SGDR, arXiv:1608.03983)."""
    return lambda t: half_cosine(t, steps)


def polynomial(power: float, steps: float) -> Curve:
    """Return (1 - t / steps) ** power, 0 once `steps` is reached; a window of a single step leaves it at 1."""
    return lambda t: max(1.0 - t / steps, 0.0) ** power if steps > 0 else 1.0


def quadratic(steps: float) -> Curve:
    """Return ((t + 1) / steps) ** 2, which ends at 1."""
    return lambda t: min((t + 1) / steps, 1.0) ** 2


def cosine_restarts(periods: Sequence[int]) -> Curve:
    """Return a half cosine from 1 towards 0 for each period; the last value stays (SGDR, arXiv:1608.03983)."""
    ends = list(accumulate(periods))

    def curve(t: int) -> float:
        t = min(t, ends[-1] - 1)
        k = bisect_right(ends, t)
        return half_cosine(t - (ends[k] - periods[k]), periods[k])

    return curve


def one_cycle(
    total_steps: int, pct_start: float, peak: float, final: float, *, three_phase: bool, straight: bool
) -> Curve:
    """Return the 1cycle curve: from 1 up to `peak`, then down to `final` (arXiv:1708.07120).

    Args:
        total_steps: The length of the cycle; the last step has number `total_steps - 1`.
        pct_start: The share of the cycle that goes up.
        peak: The highest value.
        final: The last value, which stays.
        three_phase: Come down as steeply as up, to 1, and only then on to `final`.
        straight: Move on straight lines instead of half cosines.
    """
    top = pct_start * total_steps - 1
    corners = [(min(top, 0.0), 1.0), (top, peak), (total_steps - 1.0, final)]
    if three_phase:
        corners.insert(2, (2 * top, 1.0))
    knots = [place for place, _ in corners]

    def curve(t: int) -> float:
        k = min(max(bisect_right(knots, t), 1), len(knots) - 1)
        (left, begin), (right, end) = corners[k - 1 : k + 1]
        share = min(max((t - left) / (right - left), 0.0), 1.0) if right > left else 1.0
        return begin + (end - begin) * (share if straight else 1.0 - half_cosine(share, 1.0))

    return curve

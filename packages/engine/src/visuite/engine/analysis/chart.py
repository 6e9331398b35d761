"""Line charts, drawn with the same canvas as predictions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visuite.engine.analysis.logs import Curve
from visuite.engine.visualization.canvas import Canvas
from visuite.engine.visualization.colors import Rgb
from visuite.engine.visualization.text import find_font, label_style

#: Colours that people with the common colour blindnesses can tell apart (Okabe and Ito, 2008), without yellow.
COLORS: tuple[Rgb, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (90, 90, 90),
)  # fmt: skip
#: What a schedule sets: there is no noise to smooth.
_PLANNED = re.compile(r"(^|/|_)(lr|momentum|memory)(_|/|$)")
_GRID, _AXIS, _TEXT = (228, 228, 228), (120, 120, 120), (50, 50, 50)
_FONT, _TITLE = 12, 15
_TOP, _RIGHT, _BOTTOM, _GAP = 34, 16, 44, 8  # pixels around the plot; the left edge depends on its labels


@dataclass
class Line:
    """One line of a chart, with a paler one behind it where `raw` is given."""

    label: str
    curve: Curve
    raw: Curve | None = None


@dataclass
class Axis:
    """From values to pixels.

    Attributes:
        low, high: The values at the ends.
        start, end: Their pixels.
        log: Whether steps of equal length multiply.
        whole: Whether it counts something, so that there is nothing between 1 and 2.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def place(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the pixels of values; what has no place (not finite, or not above 0 on a log axis) becomes NaN."""
        array = np.asarray(values, dtype=np.float64)
        array = np.where(np.isfinite(array), array, np.nan)
        low, high = self.low, self.high
        if self.log:
            array = np.log10(np.where(array > 0, array, np.nan))
            low, high = math.log10(low), math.log10(high)
        return self.start + (array - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return the values to write at the axis, about five."""
        ticks = log_ticks(self.low, self.high) if self.log else nice_ticks(self.low, self.high)
        return [tick for tick in ticks if not self.whole or tick.is_integer()]


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values within [low, high]: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(about, 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(one for one in (1, 2, 5, 10) if one * size >= 0.75 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") + 0.0 for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten within [low, high], with their 2- and 5-fold where there are few, or else round values."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = math.log10(high / low)
    factors = (1, 2, 5) if decades <= 2 else (1,)
    every = max(math.ceil(decades / 6), 1)
    ticks = [factor * 10.0**exponent for exponent in exponents if exponent % every == 0 for factor in factors]
    inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    return inside if len(inside) > 2 else nice_ticks(low, high)


def tick_text(value: float) -> str:
    """Return a tick as short text."""
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        digits, _, power = f"{value:.3g}".partition("e") if "e" in f"{value:.3g}" else f"{value:.2e}".partition("e")
        digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
        return f"{digits}e{int(power)}"
    return f"{value:.6g}"


def line_chart(
    lines: Sequence[Line],
    *,
    title: str = "",
    x_label: str = "",
    size: tuple[int, int] = (560, 360),
    log: bool = False,
) -> np.ndarray:
    """Draw lines over common axes; return a picture (H, W, 3) RGB.

    Args:
        lines: What to draw; points that are not finite break a line.
        title: What stands above.
        x_label: What stands below.
        size: Width and height in pixels.
        log: Use a logarithmic vertical axis; values that are not above 0 are left out.
    """
    width, height = size
    canvas = Canvas(np.full((height, width, 3), 255, np.uint8))
    low, high = _range([line.raw or line.curve for line in lines], "values", log=log)
    upright = Axis(low, high, height - _BOTTOM, _TOP, log)
    left = _GAP + max(_width(tick_text(tick)) for tick in upright.ticks() or [0.0]) + _GAP
    along = Axis(*_range([line.curve for line in lines], "steps"), left, width - _RIGHT, whole=True)
    _draw_frame(canvas, along, upright, title, x_label)
    for number, line in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        if line.raw is not None:
            _draw_line(canvas, _points(line.raw, along, upright), color, alpha=0.28, width=1.2)
        _draw_line(canvas, _points(line.curve, along, upright), color, alpha=1.0, width=2.0)
    if len(lines) > 1:
        drawn = np.concatenate([_filled(_points(line.raw or line.curve, along, upright)) for line in lines])
        _draw_legend(canvas, [line.label for line in lines], along, upright, drawn)
    return canvas.to_array()


def _range(curves: Sequence[Curve], what: str, *, log: bool = False) -> tuple[float, float]:
    """Return the ends of an axis: those of the finite values, a little further for values, never one point."""
    array = np.array([one for curve in curves for one in getattr(curve, what)], dtype=np.float64)
    array = array[np.isfinite(array) & ((array > 0) if log else True)]
    low, high = (float(array.min()), float(array.max())) if array.size else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        spare = 10 ** (0.04 * math.log10(high / low)) if high > low else 2.0
        return low / spare, high * spare
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        spare = 0.5 * abs(low) or 0.5
        return low - spare, high + spare
    spare = 0.04 * (high - low) if what == "values" else 0.0
    return low - spare, high + spare


def _draw_frame(canvas: Canvas, along: Axis, upright: Axis, title: str, x_label: str) -> None:
    for tick, y in zip(upright.ticks(), upright.place(upright.ticks()), strict=True):
        _segment(canvas, (along.start, y), (along.end, y), _GRID)
        style = label_style(_FONT, _TEXT, horizontal="right", vertical="center")
        canvas.label(tick_text(tick), (along.start - _GAP, y), style)
    for tick, x in zip(along.ticks(), along.place(along.ticks()), strict=True):
        _segment(canvas, (x, upright.start), (x, upright.end), _GRID)
        canvas.label(tick_text(tick), (x, upright.start + 5), label_style(_FONT, _TEXT, horizontal="center"))
    _segment(canvas, (along.start, upright.start), (along.end, upright.start), _AXIS)
    _segment(canvas, (along.start, upright.start), (along.start, upright.end), _AXIS)
    canvas.label(title, (along.start, 7), label_style(_TITLE, _TEXT))
    below = (along.end, upright.start + 22)
    canvas.label(x_label, below, label_style(_FONT, _AXIS, horizontal="right"))


def _segment(canvas: Canvas, start: tuple[float, float], end: tuple[float, float], color: Rgb) -> None:
    """Draw a line along the pixels, one wide and sharp."""
    (x1, y1), (x2, y2) = ((int(x), int(y)) for x, y in (start, end))
    canvas.fill_box((min(x1, x2), min(y1, y2), max(x1, x2) + 1, max(y1, y2) + 1), color, alpha=1.0)


def _points(curve: Curve, along: Axis, upright: Axis) -> np.ndarray:
    """Return the pixels of a curve, (N, 2), NaN where it is broken."""
    return np.stack([along.place(curve.steps), upright.place(curve.values)], axis=1)


def _draw_line(canvas: Canvas, points: np.ndarray, color: Rgb, *, alpha: float, width: float) -> None:
    broken = np.isnan(points).any(axis=1)
    for piece in np.split(points, np.flatnonzero(broken)):
        piece = _thinned(piece[~np.isnan(piece).any(axis=1)])
        if len(piece) == 1:
            canvas.circle(piece[0], 2.5, color, alpha=alpha)
        elif len(piece):
            canvas.line(piece, color, width=width, alpha=alpha)


def _thinned(points: np.ndarray) -> np.ndarray:
    """Keep the first, lowest, highest and last of the points (N, 2) in each column of pixels: the look stays."""
    if len(points) < 2000:
        return points
    columns = np.floor(points[:, 0])
    starts = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
    kept = set()
    for start, end in zip(starts, [*starts[1:], len(points)], strict=True):
        heights = points[start:end, 1]
        kept |= {start, start + int(heights.argmin()), start + int(heights.argmax()), end - 1}
    return points[sorted(kept)]


def _filled(points: np.ndarray) -> np.ndarray:
    """Return a line's points (N, 2) with one at every pixel between them."""
    points = points[~np.isnan(points).any(axis=1)]
    if len(points) < 2:
        return points
    across = np.arange(points[0, 0], points[-1, 0])
    return np.concatenate([points, np.stack([across, np.interp(across, *points.T)], axis=1)])


def _draw_legend(canvas: Canvas, labels: Sequence[str], along: Axis, upright: Axis, points: np.ndarray) -> None:
    """Write which line is which, in the corner where fewest of the points (N, 2) lie."""
    row, margin = _FONT + 6, 6
    width = max(_width(label) for label in labels) + 36
    height = row * len(labels) + 6
    corners = [
        (x, y)
        for y in (upright.end + margin, upright.start - height - margin)
        for x in (along.end - width - margin, along.start + margin)
    ]

    def covered(corner: tuple[float, float]) -> int:
        inside = (points >= corner) & (points <= (corner[0] + width, corner[1] + height))
        return int(inside.all(axis=1).sum())

    left, top = min(corners, key=covered)
    canvas.fill_box((left, top, left + width, top + height), (255, 255, 255), alpha=0.85)
    for number, label in enumerate(labels):
        y = top + 3 + row * number
        canvas.fill_box((left + 6, y + 7, left + 24, y + 10), COLORS[number % len(COLORS)], alpha=1.0)
        canvas.label(label, (left + 30, y), label_style(_FONT, _TEXT))


def _width(text: str) -> int:
    return math.ceil(find_font(_FONT, text).getlength(text))


def chart_sheet(
    runs: Mapping[str, Mapping[str, Curve]], *, smooth: float = 0.0, columns: int = 2, log: Sequence[str] = ()
) -> np.ndarray:
    """Draw one chart for each name, with a line for each run; return a picture (H, W, 3) RGB.

    Args:
        runs: {run: {name: curve}}.
        smooth: Weight of the exponential mean, for what is measured in training; the numbers themselves stand paler
            behind it.
        columns: How many charts stand in a row.
        log: The names of those with a logarithmic axis.

    Raises:
        ValueError: there is nothing to draw.
    """
    names = list(dict.fromkeys(name for curves in runs.values() for name in curves))
    if not names:
        raise ValueError("there is nothing to draw: the logs hold no numbers")
    charts = []
    for name in names:
        curves = {run: found[name] for run, found in runs.items() if name in found}
        unit = next(iter(curves.values())).unit
        noisy = smooth > 0 and unit == "iteration" and not _PLANNED.search(name)
        lines = [Line(run, one.smoothed(smooth), one) if noisy else Line(run, one) for run, one in curves.items()]
        charts.append(line_chart(lines, title=name, x_label=unit, log=name in log))
    columns = min(columns, len(charts))
    blank = np.full_like(charts[0], 255)
    charts += [blank] * (-len(charts) % columns)
    rows = [np.concatenate(charts[start : start + columns], axis=1) for start in range(0, len(charts), columns)]
    return np.concatenate(rows)

"""Drawing on an RGB picture with smooth edges and transparency, by Pillow.

Coordinates are continuous: pixel i covers [i, i + 1). N is the number of points, H and W the picture's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from visuite.engine.utils.text import did_you_mean
from visuite.engine.visualization.colors import Rgb
from visuite.engine.visualization.text import LabelStyle, find_font, place_label

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Box = tuple[float, float, float, float]
#: Lengths of line and gap, in line widths.
DASHES: dict[str, tuple[float, ...]] = {
    "-": (),
    "solid": (),
    "--": (4.0, 2.0),
    "dashed": (4.0, 2.0),
    "-.": (4.0, 1.5, 1.0, 1.5),
    "dashdot": (4.0, 1.5, 1.0, 1.5),
    ":": (1.0, 1.5),
    "dotted": (1.0, 1.5),
}
#: Corners of markers in a square of side 1 around the point; those that are strokes come in pairs.
MARKERS: dict[str, list[tuple[float, float]]] = {
    "s": [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)],
    "D": [(0, -0.6), (0.6, 0), (0, 0.6), (-0.6, 0)],
    "^": [(0, -0.58), (0.5, 0.42), (-0.5, 0.42)],
    "v": [(0, 0.58), (0.5, -0.42), (-0.5, -0.42)],
    "*": [
        (math.sin(i * math.pi / 5) * (0.6, 0.24)[i % 2], -math.cos(i * math.pi / 5) * (0.6, 0.24)[i % 2])
        for i in range(10)
    ],
}
STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "+": [[(-0.5, 0), (0.5, 0)], [(0, -0.5), (0, 0.5)]],
    "x": [[(-0.4, -0.4), (0.4, 0.4)], [(-0.4, 0.4), (0.4, -0.4)]],
}


def as_rgb(image: Any) -> np.ndarray:
    """Return a picture as a contiguous RGB uint8 array of shape (H, W, 3).

    Args:
        image: (H, W) or (H, W, C), values 0..255, or booleans. Of more than three channels the first three are shown,
            of two the first, as grey.

    Raises:
        TypeError, ValueError: it is no picture.
    """
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise TypeError(f"a picture is an array of shape (H, W, 3), not {type(image).__name__}")
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"a picture has shape (H, W, 3) or (H, W), not {image.shape}")
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    elif image.dtype != np.uint8:
        image = np.nan_to_num(image.astype(np.float64)).round().clip(0, 255).astype(np.uint8)
    channels = image if image.ndim == 3 else image[..., None]
    if channels.shape[2] < 3:
        channels = np.repeat(channels[..., :1], 3, axis=2)
    return np.ascontiguousarray(channels[..., :3])


class Canvas:
    """A picture that shapes are painted on.

    Args:
        image: Whatever `as_rgb` takes; it is not changed.
    """

    def __init__(self, image: Any) -> None:
        from PIL import Image

        self.image = Image.fromarray(as_rgb(image))

    def to_array(self) -> np.ndarray:
        """Return the picture, (H, W, 3) uint8."""
        return np.array(self.image)

    # ------------------------------------------------------------------ shapes

    def box(self, box: Box, color: Rgb, *, width: float, alpha: float) -> None:
        """Outline a box, its lines along whole pixels and centred on its edges."""
        x1, y1, x2, y2 = box
        thick = max(1, round(width))
        left, top = round(x1 - thick / 2), round(y1 - thick / 2)
        right, bottom = max(round(x2 + thick / 2), left + thick), max(round(y2 + thick / 2), top + thick)
        inner_top, inner_bottom = min(top + thick, bottom), max(bottom - thick, top + thick)
        for strip in (
            (left, top, right, inner_top),
            (left, inner_bottom, right, bottom),
            (left, inner_top, min(left + thick, right), inner_bottom),
            (max(right - thick, left + thick), inner_top, right, inner_bottom),
        ):
            self.fill_box(strip, color, alpha=alpha)

    def fill_box(self, box: Box, color: Rgb, *, alpha: float) -> None:
        """Fill a box, to whole pixels."""
        left, top, right, bottom = self._clip(*(round(value) for value in box))
        if right > left and bottom > top:
            self._blend((left, top), _constant_mask(right - left, bottom - top, alpha), color)

    def fill_polygon(self, points: np.ndarray, color: Rgb, *, alpha: float) -> None:
        """Fill a polygon; points (N, 2)."""
        if len(points) >= 3:
            self._paint(points, 1, color, alpha, lambda pen, put, _: pen.polygon(put(points), fill=255))

    def line(
        self,
        points: np.ndarray,
        color: Rgb,
        *,
        width: float,
        style: str = "-",
        alpha: float = 1.0,
        closed: bool = False,
    ) -> None:
        """Draw a line through points (N, 2), back to the first where `closed`, dashed where `style` says so.

        Raises:
            ValueError: no such style; says the nearest.
        """
        if style not in DASHES:
            known = list(DASHES)
            raise ValueError(f"there is no line style {style!r}{did_you_mean(style, known)} (there are {known})")
        if closed:  # an unbroken line goes on to the second point, so that the joint at the first is round too
            points = np.concatenate([points, points[: 1 if DASHES[style] else 2]])
        pieces = list(_dashed(points, [length * width for length in DASHES[style]]))

        def draw(pen: ImageDraw.ImageDraw, put: Callable[..., Any], scale: int) -> None:
            for piece in pieces:
                pen.line(put(piece), fill=255, width=max(round(width * scale), 1), joint="curve")

        self._paint(points, width, color, alpha, draw)

    def circle(self, center: Sequence[float], radius: float, color: Rgb, *, alpha: float) -> None:
        """Fill a circle."""
        x, y = center
        corners = np.array([[x - radius, y - radius], [x + radius, y + radius]])
        self._paint(corners, 0, color, alpha, lambda pen, put, _: pen.ellipse(put(corners), fill=255))

    def marker(self, center: Sequence[float], size: float, color: Rgb, kind: str) -> None:
        """Draw a marker: 'o' or '.' (discs), 's', 'D', '^', 'v', '*', '+' or 'x'.

        Raises:
            ValueError: no such marker.
        """
        if kind in ("o", "."):
            self.circle(center, size / 2 if kind == "o" else size / 4, color, alpha=1.0)
        elif kind in MARKERS:
            self.fill_polygon(np.asarray(center) + size * np.array(MARKERS[kind]), color, alpha=1.0)
        elif kind in STROKES:
            for stroke in STROKES[kind]:
                self.line(np.asarray(center) + size * np.array(stroke), color, width=max(size / 6, 1.0))
        else:
            raise ValueError(f"there is no marker {kind!r} (there are {['o', '.', *MARKERS, *STROKES]})")

    def mask(self, mask: np.ndarray, color: Rgb, *, alpha: float) -> None:
        """Tint the pixels of a boolean (H, W) mask.

        Raises:
            ValueError: the mask has another size than the picture.
        """
        if mask.shape != (self.image.height, self.image.width):
            raise ValueError(f"a mask of shape {mask.shape} on a picture of {(self.image.height, self.image.width)}")
        from PIL import Image

        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return
        inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        self._blend((columns[0], rows[0]), Image.fromarray(inside.astype(np.uint8) * round(alpha * 255)), color)

    def label(self, text: str, anchor: tuple[float, float], style: LabelStyle) -> None:
        """Write a text, on a box where the style has one, moved as needed to stay in the picture."""
        from PIL import ImageDraw

        if not text:
            return
        font = find_font(style.size, text, style.family, style.font_path)
        pen = ImageDraw.Draw(self.image)
        lines = text.split("\n")
        line_height = sum(font.getmetrics())
        size = (max(pen.textlength(line, font=font) for line in lines), line_height * len(lines))
        left, top = place_label(anchor, size, style, self.image.size)
        pad = style.pad
        frame = (left - pad, top - pad, left + math.ceil(size[0]) + pad, top + size[1] + pad)
        if style.face is not None:
            self.fill_box(frame, style.face, alpha=style.alpha)
        if style.edge is not None:
            self.box(frame, style.edge, width=1, alpha=style.alpha)
        for row, line in enumerate(lines):
            pen.text((left, top + row * line_height), line, fill=style.color, font=font)

    # ------------------------------------------------------------------ paint

    def _clip(self, left: int, top: int, right: int, bottom: int) -> tuple[int, int, int, int]:
        width, height = self.image.size
        return max(left, 0), max(top, 0), min(right, width), min(bottom, height)

    def _paint(
        self,
        points: np.ndarray,
        margin: float,
        color: Rgb,
        alpha: float,
        draw: Callable[[ImageDraw.ImageDraw, Callable[[np.ndarray], list[tuple[float, float]]], int], Any],
    ) -> None:
        """Let `draw` draw enlarged on a mask around the points, shrink it, and blend the colour in through it."""
        from PIL import Image, ImageDraw

        low, high = np.floor(points.min(axis=0) - margin) - 1, np.ceil(points.max(axis=0) + margin) + 1
        left, top, right, bottom = self._clip(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        if right <= left or bottom <= top:
            return
        area = (right - left) * (bottom - top)
        scale = 4 if area <= 2**20 else 2 if area <= 2**23 else 1  # enlarging a large shape would take much memory
        mask = Image.new("L", ((right - left) * scale, (bottom - top) * scale))

        def put(where: np.ndarray) -> list[tuple[float, float]]:
            return [(float(x - left) * scale, float(y - top) * scale) for x, y in where]

        draw(ImageDraw.Draw(mask), put, scale)
        mask = mask.reduce(scale) if scale > 1 else mask
        self._blend((left, top), mask if alpha >= 1 else mask.point(lambda value: round(value * alpha)), color)

    def _blend(self, corner: tuple[int, int], mask: Image.Image, color: Rgb) -> None:
        self.image.paste(color, (int(corner[0]), int(corner[1])), mask)


def _constant_mask(width: int, height: int, alpha: float) -> Image.Image:
    from PIL import Image

    return Image.new("L", (width, height), round(min(max(alpha, 0.0), 1.0) * 255))


def _dashed(points: np.ndarray, pattern: Sequence[float]) -> Iterator[np.ndarray]:
    """Cut a line (N, 2) into the pieces that a dash pattern (line, gap, line, gap, ...) leaves."""
    if not pattern:
        yield points
        return
    lengths = np.hypot(*np.diff(points, axis=0).T)
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    start, index = 0.0, 0
    while start < at[-1]:
        end = min(start + pattern[index % len(pattern)], at[-1])
        if index % 2 == 0:
            inner = points[(at > start) & (at < end)]
            ends = [[np.interp(where, at, points[:, axis]) for axis in (0, 1)] for where in (start, end)]
            yield np.concatenate([ends[:1], inner, ends[1:]])
        start, index = end, index + 1

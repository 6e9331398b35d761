"""Many pictures in one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.engine.visualization.arguments import per_shape
from visuite.engine.visualization.canvas import Canvas, as_rgb
from visuite.engine.visualization.colors import Color
from visuite.engine.visualization.text import find_font, label_style

GAP = 6  # pixels between cells
TITLE_SIZE = 13


def image_grid(
    images: Sequence[Any],
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    *,
    cell_size: int | None = None,
    title_colors: Color | list[Color] = "k",
) -> np.ndarray:
    """Return pictures in rows, (H, W, 3) uint8 RGB, on white.

    Args:
        images: Pictures as `as_rgb` takes them, of any sizes; each is scaled to its cell and keeps its proportions.
        titles: A line above each; cut short where it is wider than the cell.
        columns: How many stand in a row; by default the grid is about square.
        cell_size: Side of a cell in pixels; by default that of the largest picture, between 96 and 320.
        title_colors: One colour, or a list of one for each.

    Raises:
        ValueError: no pictures, or another number of titles.
    """
    pictures = [as_rgb(image) for image in images]
    if not pictures:
        raise ValueError("a grid needs at least one picture")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} pictures")
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    side = cell_size or min(max(96, *(max(picture.shape[:2]) for picture in pictures)), 320)
    fitted = [_fit(picture, side) for picture in pictures]
    width = max(picture.shape[1] for picture in fitted)
    height = max(picture.shape[0] for picture in fitted)
    head = TITLE_SIZE + 6 if titles is not None else 0
    rows = math.ceil(len(pictures) / columns)
    sheet = np.full((rows * (height + head + GAP) + GAP, columns * (width + GAP) + GAP, 3), 255, np.uint8)
    corners = [
        (GAP + index // columns * (height + head + GAP), GAP + index % columns * (width + GAP))
        for index in range(len(pictures))
    ]
    for (top, left), picture in zip(corners, fitted, strict=True):
        down, right = top + head + (height - picture.shape[0]) // 2, left + (width - picture.shape[1]) // 2
        sheet[down : down + picture.shape[0], right : right + picture.shape[1]] = picture
    return sheet if titles is None else _write_titles(sheet, titles, corners, width, title_colors)


def _fit(picture: np.ndarray, side: int) -> np.ndarray:
    """Scale a picture so that its longer side is `side`; small ones keep hard pixels, as the model saw them."""
    from PIL import Image

    longest = max(picture.shape[:2])
    if longest == side:
        return picture
    size = tuple(max(1, round(length * side / longest)) for length in picture.shape[1::-1])
    way = Image.Resampling.NEAREST if side >= 2 * longest else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize(size, way))


def _write_titles(
    sheet: np.ndarray, titles: Sequence[str], corners: list[tuple[int, int]], width: int, colors: Color | list[Color]
) -> np.ndarray:
    canvas = Canvas(sheet)
    for title, (top, left), color in zip(titles, corners, per_shape(colors, len(titles), "title_colors"), strict=True):
        style = label_style(TITLE_SIZE, color, horizontal="center")
        canvas.label(_shorten(title, width), (left + width / 2, top + 1), style)
    return canvas.to_array()


def _shorten(title: str, width: int) -> str:
    """Cut a title to `width` pixels, an ellipsis at its end."""
    font = find_font(TITLE_SIZE, title)
    if font.getlength(title) <= width:
        return title
    kept = title
    while kept and font.getlength(kept + "...") > width:
        kept = kept[:-1]
    return kept.rstrip() + "..."
